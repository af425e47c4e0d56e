/** The servers themselves: HTTPS with a certificate that is renewed, and the operator's socket. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import type { Api } from "./api.ts";
import { defaultLimits, type ServerCertificate, serveHttps, serveUnix } from "./server.ts";

const echo: Api = {
  handler: (_request, response, { operator }) => void response.end(String(operator)),
  close: () => {},
};

describe("servers", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-api-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const certificate = (name: string): ServerCertificate => {
    const files = { key: join(folder, `${name}.key`), cert: join(folder, `${name}.crt`) };
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "1",
        "-keyout",
        files.key,
        "-out",
        files.cert,
        ...subject,
      ],
      { stdio: "ignore" },
    );
    return { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") };
  };

  const get = (
    port: number,
    ca: string,
  ): Promise<{ readonly body: string; readonly issuer: string; readonly protocol: string }> =>
    new Promise((resolve, reject) => {
      const call = request({ host: "127.0.0.1", port, ca, path: "/", agent: false }, (response) => {
        const socket = response.socket as TLSSocket;
        const issuer = String(socket.getPeerCertificate().issuer.CN);
        const protocol = socket.getProtocol() ?? "";
        let body = "";
        response.on("data", (data) => {
          body += data;
        });
        response.on("end", () => resolve({ body, issuer, protocol }));
      });
      call.on("error", reject);
      call.end();
    });

  it("serves HTTPS, renews its certificate, survives plain text, ends connections when it closes", async () => {
    const one = certificate("one");
    const two = certificate("two");
    const server = await serveHttps(echo, {
      host: "127.0.0.1",
      port: 0,
      certificate: one,
      limits: { ...defaultLimits, headersTimeoutMs: 300 },
    });
    assert.deepEqual(await get(server.port, one.cert), { body: "false", issuer: "one", protocol: "TLSv1.3" });
    await assert.rejects(get(server.port, two.cert));
    server.renew(two);
    assert.equal((await get(server.port, two.cert)).issuer, "two");
    const ended = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(server.port, "127.0.0.1", () => socket.write(text));
        socket.on("error", () => {});
        socket.on("close", () => resolve());
        socket.resume();
      });
    await ended("GET / HTTP/1.1\r\n\r\n");
    await ended("");
    assert.equal((await get(server.port, two.cert)).body, "false");
    await server.close();
    await assert.rejects(get(server.port, two.cert), { code: "ECONNREFUSED" });
  });

  it("serves the operator on a socket of its own, over one that was left behind", async () => {
    const path = join(folder, "api.sock");
    const call = (): Promise<string> =>
      new Promise((resolve, reject) => {
        httpRequest({ socketPath: path, path: "/", agent: false }, (response) => {
          response.on("data", (data) => resolve(String(data)));
        })
          .on("error", reject)
          .end();
      });
    const first = await serveUnix(echo, path);
    const second = await serveUnix(echo, path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(await call(), "true");
    await first.close();
    await second.close();
  });
});
