import { OperatorError } from "../../base/operator-error.ts";
import { formatDuration } from "../format.ts";
import { print, printError } from "../output.ts";
import { DemoCluster, pickFreePort } from "./demo-cluster.ts";
import { type DemoStep, demoSteps } from "./demo-steps.ts";

const interruptSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const exitCodeOfInterrupt = 130;

/** Prints each step as it really happens; throws with the step's name when one does not hold. */
export async function runDemo(): Promise<void> {
  const abort = new AbortController();
  const onSignal = () => abort.abort(new Error("interrupted"));
  for (const signal of interruptSignals) process.on(signal, onSignal);
  const cluster = new DemoCluster({ port: await pickFreePort(), signal: abort.signal });
  const onExit = () => cluster.removeNow();
  process.on("exit", onExit);
  try {
    await runSteps(cluster, abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    printError("sessioncast: the demo was interrupted; its processes are stopped");
    process.exitCode = exitCodeOfInterrupt;
  } finally {
    await cluster.close();
    process.off("exit", onExit);
    for (const signal of interruptSignals) process.off(signal, onSignal);
  }
}

async function runSteps(cluster: DemoCluster, signal: AbortSignal): Promise<void> {
  print(`cluster ${cluster.cluster} on loopback, UDP port ${cluster.port}`);
  const startedAtMs = performance.now();
  for (const [index, step] of demoSteps.entries()) {
    signal.throwIfAborted();
    await runStep({ step, number: index + 1, cluster, signal });
  }
  print(
    `all ${demoSteps.length} steps held, in ${formatDuration(performance.now() - startedAtMs)}`,
  );
}

const numberColumns = 2;
const durationColumns = 8;

async function runStep(run: {
  readonly step: DemoStep;
  readonly number: number;
  readonly cluster: DemoCluster;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { step, cluster, signal } = run;
  const startedAtMs = performance.now();
  try {
    const { detail, tookMs } = await step.run(cluster, signal);
    const took = formatDuration(tookMs ?? performance.now() - startedAtMs);
    const number = String(run.number).padStart(numberColumns);
    print(`${number}. ${took.padStart(durationColumns)}  ${step.name}: ${detail}`);
  } catch (error) {
    if (signal.aborted) throw error;
    for (const node of cluster.nodes) {
      if (node.lastWords !== "") printError(`--- stderr of node ${node.name}\n${node.lastWords}`);
    }
    throw new OperatorError(
      "E_DEMO_STEP",
      `step ${run.number} of the demo, "${step.name}", did not hold: ${messageOf(error)}`,
      "See what the sidecars wrote above; an interface without multicast is the usual cause",
      { cause: error },
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
