/** What an end-to-end test may ask of the program. */
export interface Variant {
  readonly intention: "allow" | "deny" | undefined;
  readonly secondGateway: boolean;
  readonly mode: "none" | "local" | "remote";
  readonly defaultPolicy: "allow" | "deny";
  readonly tags: string[];
}
