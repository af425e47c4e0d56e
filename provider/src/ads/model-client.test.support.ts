/** A small client of the delta protocol: what Envoy does with responses, without Envoy. Checks the server's manners. */
import assert from "node:assert/strict";
import { type DeltaResponse, newStream, outstanding, type StreamEvent, type StreamState, step } from "./delta.ts";
import { describeResponse, request, resourceSet } from "./resources.test.support.ts";
import { CLUSTER, ENDPOINTS, EXTENSION, inPushOrder, LISTENER, SECRET, travelsAlone } from "./type-urls.ts";

export const allTypes: readonly string[] = [CLUSTER, ENDPOINTS, LISTENER, EXTENSION, SECRET];

/** Versions that the client refuses end in `!`. */
export const isBad = (version: string): boolean => version.endsWith("!");

interface ClientType {
  /** Undefined: the wildcard. */
  names: Set<string> | undefined;
  asked: boolean;
  have: Map<string, string>;
}

/** Content by type URL, then name, then version. */
export type Content = Record<string, Record<string, string>>;

/** A client and the stream to it; responses wait in flight until they are delivered. */
export class ModelClient {
  readonly types = new Map<string, ClientType>();
  content: Content = {};
  #stream: StreamState;
  #inFlight: DeltaResponse[] = [];
  /** The version of a name that was refused last, unless another came since. */
  readonly #refused = new Map<string, string>();
  /** Names that may come once more though they were refused. */
  readonly #askedAgain = new Set<string>();
  /** Filter configurations that this stream was sent. */
  readonly #sentEver = new Set<string>();
  #streams = 1;
  delivered = 0;

  constructor() {
    this.#stream = newStream("s1-", undefined);
    for (const typeUrl of allTypes) {
      const names = typeUrl === CLUSTER || typeUrl === LISTENER ? undefined : new Set<string>();
      this.types.set(typeUrl, { names, asked: false, have: new Map() });
    }
    this.ask(CLUSTER);
    this.ask(LISTENER);
  }

  get quiet(): boolean {
    return this.#inFlight.length === 0;
  }

  #apply(event: StreamEvent): void {
    const [state, responses] = step(this.#stream, event);
    if (!state.writable) assert.deepEqual(responses.map(describeResponse), [], "written to a full transport");
    this.#stream = state;
    for (const response of responses) this.#inspect(response);
    const order = responses.filter(({ resources }) => resources.length > 0).map(({ typeUrl }) => typeUrl);
    assert.deepEqual(
      order,
      [...order].sort((a, b) => allTypes.indexOf(a) - allTypes.indexOf(b)),
      "out of order",
    );
    for (const typeUrl of new Set(responses.map((response) => response.typeUrl))) {
      const waiting = this.#inFlight.filter((response) => response.typeUrl === typeUrl).length;
      assert.equal(waiting, 0, `a second set of ${typeUrl} before the first was answered`);
    }
    this.#inFlight.push(...responses);
    assert.equal(outstanding(state), this.#inFlight.length);
  }

  #inspect(response: DeltaResponse): void {
    const text = describeResponse(response);
    const type = this.types.get(response.typeUrl)!;
    assert.equal(type.asked, true, `${text}: never asked for`);
    const names = [...response.resources.map(({ name }) => name), ...response.removed];
    assert.equal(new Set(names).size, names.length, `${text}: a name twice`);
    if (travelsAlone(response.typeUrl)) assert.ok(response.resources.length <= 1, `${text}: more than one resource`);
    for (const name of names) assert.ok(!type.names || type.names.has(name), `${text}: ${name} was not asked for`);
    for (const { name, version } of response.resources) {
      assert.equal(this.content[response.typeUrl]?.[name], version, `${text}: not the newest`);
      const refused = this.#refused.get(`${response.typeUrl} ${name}`) === version;
      const askedAgain = this.#askedAgain.delete(`${response.typeUrl} ${name}`);
      assert.ok(!refused || askedAgain, `${text}: refused before`);
      this.#refused.delete(`${response.typeUrl} ${name}`);
      if (response.typeUrl === CLUSTER) this.#askedAgain.add(`${ENDPOINTS} ${name}`);
    }
    for (const name of response.removed) this.#refused.delete(`${response.typeUrl} ${name}`);
    if (response.typeUrl === EXTENSION) {
      for (const name of response.removed)
        assert.ok(type.have.has(name) || this.#sentEver.has(name), `${text}: not silent`);
    }
    if (response.typeUrl === EXTENSION) for (const { name } of response.resources) this.#sentEver.add(name);
    if (response.typeUrl === LISTENER && response.resources.length > 0) {
      const clusters = this.#inFlight.filter(({ typeUrl }) => typeUrl === CLUSTER);
      assert.equal(clusters.length, 0, `${text}: before its clusters were accepted`);
    }
  }

  /** A type's first request on this stream; names one by one where there is no wildcard. */
  ask(typeUrl: string): void {
    const type = this.types.get(typeUrl)!;
    if (type.names?.size === 0) return;
    type.asked = true;
    this.#apply(request(typeUrl, { subscribe: [...(type.names ?? [])], initialVersions: new Map(type.have) }));
  }

  subscribe(typeUrl: string, name: string): void {
    const type = this.types.get(typeUrl)!;
    if (!type.names) return;
    type.names.add(name);
    this.#askedAgain.add(`${typeUrl} ${name}`);
    if (typeUrl === EXTENSION) this.#sentEver.delete(name);
    // Asking again means having lost it: a cluster that came back waits for its endpoints.
    type.have.delete(name);
    if (type.asked) this.#apply(request(typeUrl, { subscribe: [name] }));
    else this.ask(typeUrl);
  }

  unsubscribe(typeUrl: string, name: string): void {
    const type = this.types.get(typeUrl)!;
    if (!type.names?.delete(name)) return;
    type.have.delete(name);
    this.#askedAgain.add(`${typeUrl} ${name}`);
    if (type.asked) this.#apply(request(typeUrl, { unsubscribe: [name] }));
  }

  change(typeUrl: string, name: string, version: string | undefined): void {
    const { [name]: _, ...others } = this.content[typeUrl] ?? {};
    this.content = { ...this.content, [typeUrl]: version === undefined ? others : { ...others, [name]: version } };
    this.#apply({ kind: "resources", resources: resourceSet(this.content) });
  }

  writable(writable: boolean): void {
    this.#apply({ kind: "writable", writable });
  }

  /** Takes the oldest response in flight and answers it. */
  deliver(): void {
    const response = this.#inFlight.shift();
    if (!response) return;
    this.delivered += 1;
    const type = this.types.get(response.typeUrl)!;
    let refused = false;
    for (const name of response.removed) type.have.delete(name);
    for (const { name, version } of response.resources) {
      if (type.names && !type.names.has(name)) continue;
      if (isBad(version)) {
        refused = true;
        this.#refused.set(`${response.typeUrl} ${name}`, version);
      } else {
        type.have.set(name, version);
        // A changed cluster warms anew, with endpoints that are yet to come.
        if (response.typeUrl === CLUSTER) this.types.get(ENDPOINTS)?.have.delete(name);
      }
    }
    const error = refused ? { error: { code: 13, message: "bad" } } : {};
    this.#apply(request(response.typeUrl, { nonce: response.nonce, ...error }));
  }

  /** A new stream, perhaps to a server that was started anew; the client keeps what it has. */
  reconnect(): void {
    this.#streams += 1;
    this.#inFlight = [];
    this.#refused.clear();
    this.#sentEver.clear();
    this.#stream = newStream(`s${this.#streams}-`, resourceSet(this.content));
    for (const type of this.types.values()) type.asked = false;
    for (const typeUrl of inPushOrder(this.types.keys())) this.ask(typeUrl);
  }
}
