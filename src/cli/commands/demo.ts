import type { CommandModule } from "yargs";

export const demoCommand: CommandModule = {
  command: "demo",
  describe: "Watch three sidecars on this machine replicate, lose a node and recover",
  builder: (yargs) =>
    yargs.example("$0 demo", "takes some seconds; touches nothing outside a temporary directory"),
  handler: async () => {
    const { runDemo } = await import("../demo/run-demo.ts");
    await runDemo();
  },
};
