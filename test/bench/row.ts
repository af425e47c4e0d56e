/** One line of the benchmark's table. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: "s" | "ms" | "MB" | "ratio";
  /** The most that it may be. */
  readonly bar: number;
  readonly ok: boolean;
  /** Raw values of every arm. */
  readonly raw: Readonly<Record<string, readonly number[]>>;
}

export function row(name: string, value: number, unit: Row["unit"], bar: number, raw: Row["raw"]): Row {
  return { name, value: Number(value.toFixed(2)), unit, bar, ok: value <= bar, raw };
}

/** The table as people read it, raw values below each line. */
export function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map((one) => one.name.length));
  return rows
    .flatMap((one) => [
      `${one.ok ? "ok  " : "MISS"} ${one.name.padEnd(width)}  ${one.value} ${one.unit} (bar ${one.bar} ${one.unit})`,
      ...Object.entries(one.raw).map(([arm, values]) => `       ${arm}: ${summary(values)}`),
    ])
    .join("\n");
}

function summary(values: readonly number[]): string {
  const rounded = values.map((value) => Number(value.toFixed(value < 100 ? 2 : 0)));
  if (rounded.length <= 10) return rounded.join(" ");
  const sorted = [...rounded].sort((a, b) => a - b);
  return `${rounded.length} values, min ${sorted[0]}, median ${sorted[Math.floor(sorted.length / 2)]}, max ${sorted.at(-1)}`;
}
