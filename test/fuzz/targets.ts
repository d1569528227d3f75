import { coreTargets } from "./core-targets.ts";
import { replicaTargets } from "./replica-target.ts";
import type { FuzzTarget } from "./target.ts";
import { wireTargets } from "./wire-targets.ts";

/** All that parses what somebody else may have written. */
export const targets: readonly FuzzTarget[] = [...wireTargets, ...coreTargets, ...replicaTargets];
