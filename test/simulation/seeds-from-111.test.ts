import { testSeeds } from "./demand-passed.ts";

testSeeds(111, 215);
