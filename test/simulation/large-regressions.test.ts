import { testRegressions } from "./regressions.ts";

testRegressions("large");
