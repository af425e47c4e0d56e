/** What an end-to-end test may ask of the program. */
export interface Variant {
  readonly intention: "allow" | "deny" | undefined;
  readonly secondGateway: boolean;
  readonly mode: "none" | "local" | "remote";
  readonly defaultPolicy: "allow" | "deny";
  readonly tags: string[];
  /** Set: banner gets a token that the program made, and this text in a secret file. */
  readonly secret: string | undefined;
}
