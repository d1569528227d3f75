/** What reaches nobody else meanwhile, instead of failing the test. */
export function catchThrown(): { readonly thrown: unknown[]; restore(): void } {
  const thrown: unknown[] = [];
  const onUncaught = (error: unknown) => thrown.push(error);
  const others = process.listeners("uncaughtException");
  for (const each of others) process.off("uncaughtException", each);
  process.on("uncaughtException", onUncaught);
  return {
    thrown,
    restore() {
      process.off("uncaughtException", onUncaught);
      for (const each of others) process.on("uncaughtException", each);
    },
  };
}
