import { drawOptions, type SimulationOptions, type Wishes } from "./options.ts";
import { Simulation, type Statistics } from "./simulation.ts";
import { useLimits } from "./small-limits.ts";
import { Trace } from "./trace.ts";
import { type FailureKind, Violation } from "./violation.ts";

export interface Failure {
  readonly kind: FailureKind;
  readonly rule: string;
  readonly detail: string;
}

export interface Outcome {
  readonly options: SimulationOptions;
  readonly failure: Failure | undefined;
  readonly hash: string;
  readonly simulatedMs: number;
  readonly datagrams: number;
  readonly statistics: Statistics;
}

/** Runs one seed to its end. Whatever is thrown on the way is a failure of the run. */
export function runSeed(
  seed: number,
  wishes: Wishes = {},
  write?: (line: string) => void,
): Outcome {
  const options = drawOptions(seed, wishes);
  const trace = new Trace(write);
  const simulation = new Simulation(options, trace);
  let failure: Failure | undefined;
  try {
    simulation.run();
  } catch (error) {
    failure = failureOf(error);
  }
  useLimits({});
  return {
    options,
    failure,
    hash: trace.hash,
    simulatedMs: Math.round(simulation.nowMs),
    datagrams: simulation.network.datagrams,
    statistics: simulation.statistics,
  };
}

function failureOf(error: unknown): Failure {
  if (error instanceof Violation) {
    return { kind: error.kind, rule: error.rule, detail: error.detail };
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: "crash", rule: "nothing-throws", detail };
}
