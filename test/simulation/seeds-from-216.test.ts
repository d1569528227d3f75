import { testSeeds } from "./demand-passed.ts";

testSeeds(216, 320);
