import { clientTargets } from "./client-targets.ts";
import { connectionTargets } from "./connection-target.ts";
import { coreTargets } from "./core-targets.ts";
import { gateTargets } from "./gate-target.ts";
import { replicaTargets } from "./replica-target.ts";
import { serverConnectionTargets } from "./server-connection-target.ts";
import { serverTargets } from "./server-targets.ts";
import type { FuzzTarget } from "./target.ts";
import { textTargets } from "./text-targets.ts";
import { wireTargets } from "./wire-targets.ts";

/** All that parses what somebody else may have written: a parser that is new gets one here. */
export const targets: readonly FuzzTarget[] = [
  ...wireTargets,
  ...gateTargets,
  ...coreTargets,
  ...replicaTargets,
  ...serverTargets,
  ...serverConnectionTargets,
  ...clientTargets,
  ...connectionTargets,
  ...textTargets,
];
