import cluster from "node:cluster";
import { parentPort, workerData } from "node:worker_threads";
import { connect } from "../../src/client/connect.ts";

/** A client in a worker, of either kind: counts a session up so often, and ends by itself. */
const { socket, times } = (workerData ?? JSON.parse(process.env.WORKER_DATA ?? "{}")) as {
  readonly socket: string;
  readonly times: number;
};
const client = await connect({ socket, nearCache: { maxCount: 10, maxBytes: 10_000 } });
const own = `worker-${cluster.worker?.id ?? "thread"}-${process.pid}-${Math.random()}`;
await client.create(own, { count: 0 });
for (let count = 1; count <= times; count++) {
  await client.patch(own, { set: { count } });
  const session = await client.get<{ count: number }>(own);
  if (session?.attributes.count !== count) throw new Error("an own write is not seen");
}
parentPort?.postMessage("done");
cluster.worker?.disconnect();
