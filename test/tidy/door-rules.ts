import { builtinModules } from "node:module";
import { posix } from "node:path";
import { roomOf, type SourceRule, type Violation } from "./rule.ts";
import { importsOf, lineAt } from "./source-text.ts";

interface Door {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
  readonly builtins: readonly string[] | "any";
}

const pureRooms = ["base", "session", "protocol"];

/** Which room may import from which, and from where outside. A room is always open to itself. */
const doors: Readonly<Record<string, Door>> = {
  base: { rooms: [], packages: [], builtins: [] },
  session: { rooms: ["base"], packages: [], builtins: [] },
  protocol: { rooms: ["base", "session"], packages: [], builtins: [] },
  core: { rooms: pureRooms, packages: [], builtins: [] },
  wire: { rooms: pureRooms, packages: [], builtins: ["node:crypto", "node:buffer"] },
  net: {
    rooms: [...pureRooms, "core", "wire"],
    packages: [],
    builtins: ["node:dgram", "node:dns", "node:os", "node:fs"],
  },
  api: { rooms: [...pureRooms, "core"], packages: [], builtins: "any" },
  client: { rooms: [...pureRooms, "api"], packages: ["lru-cache", "msgpackr"], builtins: "any" },
  adapters: { rooms: ["client", "base"], packages: [], builtins: "any" },
  daemon: {
    rooms: [...pureRooms, "core", "wire", "net", "api", "client", "adapters"],
    packages: ["lru-cache"],
    builtins: "any",
  },
  cli: { rooms: ["client", "daemon", "base", "api"], packages: ["yargs"], builtins: "any" },
};

/** A general decoder builds what octets name: nothing reaches it but by the file that guards it. */
const packageOwners: ReadonlyMap<string, string> = new Map([["msgpackr", "src/client/values.ts"]]);

/** Connections are local only: a stream socket is opened by the local API and by its client. */
const streamModules = ["node:net", "node:tls", "node:http", "node:https", "node:http2"];
const streamRooms = ["api", "client"];

/** `@scope/name/part` and `name/part` belong to the packages `@scope/name` and `name`. */
function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

function judgeRelative(path: string, room: string, door: Door, specifier: string) {
  if (!specifier.endsWith(".ts")) return `relative import "${specifier}" does not end in .ts`;
  const target = posix.join(posix.dirname(path), specifier);
  const targetRoom = roomOf(target);
  if (targetRoom === undefined) return `imports ${target}, which is in no room of src`;
  if (targetRoom === room || door.rooms.includes(targetRoom)) return undefined;
  return `room ${room} has no door to ${targetRoom} (${specifier})`;
}

function judgeBuiltin(room: string, door: Door, specifier: string): string | undefined {
  if (!specifier.startsWith("node:")) return `write "node:${specifier}"`;
  if (streamModules.includes(specifier) && !streamRooms.includes(room)) {
    return `room ${room} must not import ${specifier}; only ${streamRooms.join(" and ")} may`;
  }
  if (door.builtins === "any" || door.builtins.includes(specifier)) return undefined;
  return `room ${room} must not import ${specifier}`;
}

function judge(path: string, room: string, door: Door, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return judgeRelative(path, room, door, specifier);
  if (specifier.startsWith("node:") || builtinModules.includes(specifier)) {
    return judgeBuiltin(room, door, specifier);
  }
  const owner = packageOwners.get(packageOf(specifier)) ?? path;
  if (owner !== path) return `only ${owner} may import package ${packageOf(specifier)}`;
  if (door.packages.includes(packageOf(specifier))) return undefined;
  return `room ${room} must not import package ${packageOf(specifier)}`;
}

/** Type-only imports count as well: a type that a room knows is knowledge that it has. */
export const roomDoors: SourceRule = (path, text) => {
  if (!path.startsWith("src/") || !path.endsWith(".ts")) return [];
  const room = roomOf(path);
  const door = room === undefined ? undefined : doors[room];
  if (room === undefined || door === undefined) {
    return [{ path, line: 1, fact: "is in no room that the table of doors knows" }];
  }
  const violations: Violation[] = [];
  for (const { specifier, offset } of importsOf(text)) {
    const line = lineAt(text, offset);
    const fact =
      specifier === undefined
        ? "imports a computed target, which no door can watch"
        : judge(path, room, door, specifier);
    if (fact !== undefined) violations.push({ path, line, fact });
  }
  return violations;
};
