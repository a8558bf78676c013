/** The two ways to print a configuration. */
import { expect, it } from "vitest";
import { renderConfiguration, renderOrigins } from "./render.ts";
import { load } from "./testing/fake-host.ts";

const files = {
  "app.ini": "[uwsgi]\nmaster\nbase = /srv\ninclude = more.ini\nset = x=%(base)\n",
  "more.ini": "[uwsgi]\n\ndir = %(base)/x\n",
};

it("show-config has uWSGI's layout", async () => {
  const { entries } = await load({ argv: ["-M", "-p", "2", "--ini", "app.ini"], files });
  expect(renderConfiguration(entries)).toEqual([
    ";uWSGI instance configuration",
    "[uwsgi]",
    "master = true",
    "processes = 2",
    "ini = app.ini",
    "master = ",
    "base = /srv",
    "include = more.ini",
    "dir = /srv/x",
    "set = x=%(base)",
    "x = /srv",
    ";end of configuration",
  ]);
});

it("show-origin has the place of each value in front, one line each", async () => {
  const { entries } = await load({
    argv: ["-M", "--ini", "app.ini"],
    files,
    environment: { UWSGI_EVIL: "a\nb\tc\u001b\u2028" },
  });
  expect(renderOrigins(entries)).toEqual([
    "the environment variable UWSGI_EVIL\tevil = a\\nb\\u0009c\\u001b\\u2028",
    "argument 1 of the command line\tmaster = true",
    "argument 2 of the command line\tini = app.ini",
    "/etc/vassals/app.ini:2\tmaster = ",
    "/etc/vassals/app.ini:3\tbase = /srv",
    "/etc/vassals/app.ini:4\tinclude = more.ini",
    "/etc/vassals/more.ini:3, by /etc/vassals/app.ini:4\tdir = /srv/x",
    "/etc/vassals/app.ini:5\tset = x=%(base)",
    "/etc/vassals/app.ini:5\tx = /srv",
  ]);
});
