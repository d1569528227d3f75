/** The lines of one section of a unit file of systemd, by name and in their order. */
export type Settings = ReadonlyMap<string, readonly string[]>;

/** An empty value takes back what was set before it, as systemd has it for lists. */
export function settingsOf(unit: string, section: string): Settings {
  const settings = new Map<string, readonly string[]>();
  let present = "";
  for (const line of unit.split("\n")) {
    if (line.startsWith("[")) present = line;
    const [, name, value] = /^([A-Za-z]\w*)=(.*)$/.exec(line) ?? [];
    if (present !== `[${section}]` || name === undefined || value === undefined) continue;
    settings.set(name, value === "" ? [] : [...(settings.get(name) ?? []), value]);
  }
  return settings;
}

/** What stands last, as systemd has it for single values. */
export function settingOf(settings: Settings, name: string): string {
  return settings.get(name)?.at(-1) ?? "";
}

/** The lines `Environment=`, one variable each here. */
export function environmentOf(settings: Settings): Record<string, string> {
  const lines = settings.get("Environment") ?? [];
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

/** `2G` and the like in octets, or the octets themselves. */
export function bytesOf(size: string): number {
  const [, amount = "", unit = ""] = /^(\d+)([KMG]?)$/.exec(size) ?? [];
  const power = ["", "K", "M", "G"].indexOf(unit);
  return amount === "" ? Number.NaN : Number(amount) * 1_024 ** power;
}
