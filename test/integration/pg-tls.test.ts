/** TLS to PostgreSQL as sslmode says, in a network of the test's own: unix sockets have no TLS. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor, type EmperorUnderTest } from "../harness/emperor.ts";
import { hostsAround } from "../harness/hosts.ts";
import { hasPostgres, Postgres } from "../harness/postgres.ts";
import { findProgram, isRoot } from "../harness/privileges.ts";

const programs = ["ip", "nsenter", "unshare", "setpriv", "openssl"];
const tlsTest = needing(
  isRoot && hasPostgres && programs.every((program) => findProgram(program) !== undefined),
  `needs root, the Debian package postgresql, ${programs.join(", ")}`,
);

/** A key and a certificate for itself, valid for `name`. */
function certificate(folder: string, file: string, name: string): string {
  const path = join(folder, file);
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-days", "2", "-subj", "/CN=test", "-addext", `subjectAltName=${name}`],
      ...["-keyout", `${path}.key`, "-out", `${path}.crt`],
    ],
    { stdio: "ignore" },
  );
  return path;
}

tlsTest(
  "verify-full trusts the right certificate for the right name only; require encrypts",
  async () => {
    const { hub, hosts } = await hostsAround(1);
    const [host] = hosts;
    if (host === undefined) throw new Error("one host was asked for");
    const folder = mkdtempSync(join(tmpdir(), "pt-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const right = certificate(folder, "right", `IP:${host.hub}`);
    const other = certificate(folder, "other", `IP:${host.hub}`);
    const server = new Postgres();
    onTestFinished(() => server.end());
    server.useTls(`${right}.crt`, `${right}.key`);
    await server.start(hub.launcher);
    server.sql("CREATE TABLE vassals (name text, config text, ts int)");
    server.sql(`INSERT INTO vassals VALUES ('a.ini', '${vassalConfig("loyal")}', 1)`);
    const emperorWith = (conninfo: string): Promise<EmperorUnderTest> =>
      startEmperor({
        monitors: [`pg://user=postgres dbname=postgres ${conninfo}`],
        launcher: host.launcher,
      });
    const encrypted = (): string =>
      server.sql(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'emperor'",
      );
    for (const good of [
      `host=${host.hub} sslmode=verify-full sslrootcert=${right}.crt`,
      `hostaddr=${host.hub} host=other.name sslmode=verify-ca sslrootcert=${right}.crt`,
      `host=${host.hub} sslmode=require`,
      `host=${host.hub}`,
    ]) {
      const emperor = await emperorWith(good);
      await emperor.vassalWith("a.ini", { loyal: 1 });
      expect([good, encrypted()]).toEqual([good, "t"]);
      await emperor.close();
      await emperor.wait("the connection to be gone", () => encrypted() === "");
    }
    const plain = await emperorWith(`host=${host.hub} sslmode=disable`);
    await plain.vassalWith("a.ini", { loyal: 1 });
    expect(encrypted()).toBe("f");
    await plain.close();
    for (const bad of [
      `host=${host.hub} sslmode=verify-full sslrootcert=${other}.crt`,
      `host=${host.hub} sslmode=verify-ca sslrootcert=${other}.crt`,
      `host=${host.hub} sslmode=verify-full sslrootcert=system`,
      `hostaddr=${host.hub} host=other.name sslmode=verify-full sslrootcert=${right}.crt`,
      `host=${host.hub} sslmode=verify-full sslrootcert=${folder}/missing.crt`,
    ]) {
      const emperor = await emperorWith(bad);
      await emperor.wait(`no connection with ${bad}`, async () => {
        return (await emperor.stats()).monitors?.[0]?.state === "unavailable";
      });
      expect([bad, encrypted(), (await emperor.stats()).vassals]).toEqual([bad, "", []]);
      await emperor.close();
    }
  },
);
