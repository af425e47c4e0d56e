/**
 * The supervisor of a local process: a POSIX shell of about one megabyte that starts the process again when it ends, passes
 * SIGTERM on, and bounds its log.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { MeshError } from "../../model/errors.ts";
import { startTimeOf, supervisorName } from "./processes.ts";

/** What is started, and where. */
export interface SupervisedCommand {
  /** Path without an extension; the supervisor adds `.log`, `.log.1` and `.status`. */
  readonly files: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

/** A log that grows beyond this is cut to its last part, which then stands in `.log.1`. */
const maxLogBytes = 4 * 1024 * 1024;
const keptLogBytes = 1024 * 1024;

/**
 * `wait` returns early when a signal with a trap comes, so each turn looks whether the child is really gone. The trap on
 * CHLD makes the end of the timer such a signal. The first restart is immediate; those after a short run wait 1, 2, 4, 8
 * seconds. Status: pid, restarts, exit code of the last run.
 */
const script = `
files=$1; shift
stop=; child=; timer=; restarts=0; pause=0; code=
umask 077
trap : CHLD
trap 'stop=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; [ -n "$timer" ] && kill "$timer" 2>/dev/null' TERM INT HUP
trim() {
  size=$(wc -c <"$files.log") && [ "$size" -gt ${maxLogBytes} ] || return
  tail -c ${keptLogBytes} "$files.log" >"$files.log.1"; : >"$files.log"
}
while [ -z "$stop" ]; do
  started=$(date +%s)
  "$@" </dev/null >>"$files.log" 2>&1 &
  child=$!
  echo "$child $restarts $code" >"$files.status"
  [ -n "$stop" ] && kill -TERM "$child" 2>/dev/null
  sleep 20 & timer=$!
  while :; do
    wait "$child"; code=$?
    kill -0 "$child" 2>/dev/null || break
    kill -0 "$timer" 2>/dev/null || [ -n "$stop" ] || { trim; sleep 20 & timer=$!; }
  done
  child=
  kill "$timer" 2>/dev/null; wait "$timer"
  [ -n "$stop" ] && break
  restarts=$((restarts + 1))
  echo "0 $restarts $code" >"$files.status"
  trim
  if [ $(($(date +%s) - started)) -ge 10 ]; then pause=0; fi
  if [ $pause -gt 0 ]; then
    sleep $pause & timer=$!
    while kill -0 "$timer" 2>/dev/null; do wait "$timer"; done
    pause=$((pause * 2)); [ $pause -gt 8 ] && pause=8
  else
    pause=1
  fi
done 2>/dev/null
`;

/**
 * Starts a supervisor that outlives this process and gives its pid and start time.
 * @throws {MeshError} `internal` when the machine has no /bin/sh or no process can be made.
 */
export async function startSupervisor(
  command: SupervisedCommand,
): Promise<{ readonly pid: number; readonly startTime: string }> {
  const child = spawn("/bin/sh", ["-c", script, supervisorName, command.files, command.command, ...command.args], {
    cwd: command.workingDirectory,
    env: command.env,
    detached: true,
    stdio: "ignore",
  });
  try {
    await once(child, "spawn");
  } catch (cause) {
    throw new MeshError("internal", `cannot start /bin/sh for ${command.command}: ${String(cause)}`, { cause });
  }
  child.unref();
  const startTime = child.pid === undefined ? undefined : startTimeOf(child.pid);
  if (child.pid === undefined || startTime === undefined) {
    throw new MeshError(
      "internal",
      `the supervisor of ${command.command} ended at once: look into ${command.files}.log`,
    );
  }
  return { pid: child.pid, startTime };
}
