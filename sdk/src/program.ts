/**
 * The running program: collects what constructors declare, holds registrations back while the program is wrong, and
 * fails it at its end. Knows no rule itself.
 */
import * as pulumi from "@pulumi/pulumi";
import { checkProgram, type Declared, type Problem } from "./check-program.ts";

interface Entry {
  readonly declared: Declared;
  readonly resource: pulumi.Resource;
  readonly accept: () => void;
  readonly refuse: (error: Error) => void;
}

interface Program {
  readonly entries: Entry[];
  readonly held: Set<Entry>;
  scheduled: boolean;
}

/** One program a stack resource: several runs can share a process (Automation API). */
const programs = new WeakMap<object, Program>();
/** Where there is no stack resource (unit tests with mocks) nothing is checked as a whole. */
const unchecked: Program = { entries: [], held: new Set(), scheduled: false };

function current(): Program {
  const stack = pulumi.runtime.getStackResource();
  if (stack === undefined) return unchecked;
  let program = programs.get(stack);
  if (!program) {
    program = { entries: [], held: new Set(), scheduled: false };
    programs.set(stack, program);
    failAtTheEnd(program);
  }
  return program;
}

function problems(program: Program): readonly Problem[] {
  return checkProgram(program.entries.map((entry) => entry.declared));
}

/** True in a process of its own, which ends with the program: then registrations can wait for the program's end. */
function hasOwnProcess(): boolean {
  return /[\\/]@pulumi[\\/]pulumi[\\/]cmd[\\/]run([\\/]|$)/.test(process.argv[1] ?? "");
}

/** Lets the held registrations go when nothing is wrong. What later declarations may still put right is waited for. */
function review(program: Program): void {
  program.scheduled = false;
  const errors = problems(program).filter((problem) => problem.severity === "error");
  if (errors.length > 0 && hasOwnProcess()) return;
  const final = errors.filter((problem) => problem.final);
  for (const entry of program.held) {
    if (final.length === 0) entry.accept();
    else entry.refuse(new pulumi.RunError(final.map((problem) => problem.message).join("\n")));
  }
  program.held.clear();
}

/** Exit code by which language hosts know that the user has been told already; any but 0 fails preview and update. */
const alreadyReported = 32;

/**
 * Reports what is wrong when the program has nothing left to do. The exit code fails preview and update; an error in the
 * log alone would not.
 */
function failAtTheEnd(program: Program): void {
  let reported = false;
  process.on("beforeExit", () => {
    if (reported) return;
    reported = true;
    for (const problem of problems(program)) {
      const resource = program.entries.find((entry) => entry.declared.resource === problem.resource)?.resource;
      if (problem.severity === "warning") {
        pulumi.log.warn(problem.message, resource).catch(() => {});
      } else {
        // Without the resource: it was never registered, so the engine has no line for it.
        pulumi.log.error(problem.message).catch(() => {});
        process.exitCode = alreadyReported;
      }
    }
  });
}

/**
 * Adds a declaration. The promise resolves when the resource may be registered; it stays open for as long as the program
 * as a whole is wrong, so that nothing at all is created by a wrong program.
 */
export function declare(resource: pulumi.Resource, declared: Declared): Promise<void> {
  const program = current();
  if (program === unchecked) {
    program.entries.push({ declared, resource, accept: () => {}, refuse: () => {} });
    return Promise.resolve();
  }
  return new Promise((accept, refuse) => {
    const entry: Entry = { declared, resource, accept, refuse };
    program.entries.push(entry);
    program.held.add(entry);
    if (!program.scheduled) {
      program.scheduled = true;
      // A macrotask: everything the program declares without waiting is declared by then.
      setImmediate(() => review(program));
    }
  });
}

/** The declared datacenter of that name, so that what names it by text still depends on it. */
export function declaredDatacenter(name: string): pulumi.Resource | undefined {
  return current().entries.find((entry) => entry.declared.kind === "datacenter" && entry.declared.name === name)
    ?.resource;
}
