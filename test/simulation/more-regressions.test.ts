import { testRegressions } from "./regressions.ts";

testRegressions(1);
