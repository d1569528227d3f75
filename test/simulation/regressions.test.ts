import { testRegressions } from "./regressions.ts";

testRegressions("others");
