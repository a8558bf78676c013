/**
 * The examples of uWSGI's own documents and of others about it, under our Emperor with the real uWSGI
 * as the vassal. Paths and ports are private to the test, the plugin of the language comes by
 * `UWSGI_VASSAL_PLUGINS`; else nothing is changed. PHP, Ruby and Perl are left to those who have them.
 */
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { newRun } from "../harness/emperor.ts";
import type { Run } from "../harness/emperor.ts";
import { isRoot, rootTest, uwsgiPluginTest, uwsgiTest } from "../harness/privileges.ts";
import { childrenOf } from "../harness/processes.ts";
import { answers, APP, follow, writeFiles } from "./document-harness.ts";
import type { Files } from "./document-harness.ts";

const PIPPO = `
function hello(wsapi_env)
  local headers = { ["Content-type"] = "text/html" }
  local function hello_text()
    coroutine.yield("<html><body>")
    coroutine.yield("<p>Hello Wsapi!</p>")
    coroutine.yield("<p>PATH_INFO: " .. wsapi_env.PATH_INFO .. "</p>")
    coroutine.yield("<p>SCRIPT_NAME: " .. wsapi_env.SCRIPT_NAME .. "</p>")
    coroutine.yield("</body></html>")
  end
  return 200, headers, coroutine.wrap(hello_text)
end

return hello
`;

uwsgiPluginTest("lua51", "uwsgi-plugin-lua5.1")(
  "the first WSAPI application, with and without async cores",
  async () => {
    const ini = (port: number, more = ""): string =>
      `[uwsgi]\nsocket = {host}:${port}\nmaster = true\nprocesses = 4\nlua = {dir}/pippo.lua\nmemory-report = true\n${more}`;
    const emperor = await follow({
      plugins: "lua51",
      files: {
        "pippo.lua": PIPPO,
        "vassals/pippo.ini": ini(3031),
        "vassals/async.ini": ini(3032, "async = 8\n"),
      },
      args: ["--emperor", "{vassals}"],
    });
    for (const port of [3031, 3032]) await answers(emperor, port, 6, "<p>PATH_INFO: /page</p>");
    await emperor.vassalWith("pippo.ini", { loyal: 1 });
    await emperor.vassalWith("async.ini", { loyal: 1 });
  },
);

uwsgiTest("a WSGI config as Plone's buildout writes it, without a master", async () => {
  const emperor = await follow({
    files: {
      "bin/wsgi.py": APP,
      "vassals/uwsgi.ini": `[uwsgi]
http-socket = {host}:8080
socket = {host}:8081
chdir  = {dir}/bin
module = wsgi:application
master = false
enable-threads = true
processes = 1
threads = 4
#asyncio = 4
#greenlet = true
`,
    },
    // Nobody in it reads the channel: it ends by force.
    args: ["--emperor", "{vassals}", "--emperor-curse-tolerance", "1", "--reload-mercy", "1"],
  });
  await answers(emperor, 8080, "http");
  await answers(emperor, 8081);
});

const SLIDE_APP = "[uwsgi]\nsocket = {dir}/NAME.sock\nmodule = app\nmaster = true\n";

describe("the slides", () => {
  uwsgiTest("--emperor with a directory and two patterns", async () => {
    const emperor = await follow({
      files: {
        "etc/uwsgi/vassals/one.ini": SLIDE_APP.replace("NAME", "one"),
        "etc/uwsgi/sites/a/config.ini": SLIDE_APP.replace("NAME", "two"),
        "var/apps/x/y/config.ini": SLIDE_APP.replace("NAME", "three"),
      },
      monitors: [
        "{dir}/etc/uwsgi/vassals",
        "{dir}/etc/uwsgi/sites/*/config.ini",
        "{dir}/var/apps/*/*/config.*",
      ],
    });
    for (const name of ["one", "two", "three"])
      await answers(emperor, join(emperor.run.path, `${name}.sock`));
  });

  uwsgiPluginTest("fastrouter,http", "uwsgi-core")(
    "fastrouter and http router with a subscription server, and who subscribes",
    async () => {
      const emperor = await follow({
        plugins: "python3,fastrouter,http",
        files: {
          "vassals/router.ini":
            "[uwsgi]\nmaster = true\nfastrouter = {host}:5051\nfastrouter-subscription-server = {host}:1717\n",
          "vassals/http.ini":
            "[uwsgi]\nmaster = true\nhttp = {host}:8000\nhttp-subscription-server = {host}:2230\n",
          "vassals/app.ini":
            "[uwsgi]\nmaster = true\nsocket = {host}:3031\nsubscribe-to = {host}:1717:example.com\nsubscribe-to = {host}:2230:example.com\nmodule = app\nprocesses = 4\n",
        },
        args: ["--emperor", "{vassals}"],
      });
      await answers(emperor, 5051);
      await answers(emperor, 8000, "http");
      await emperor.vassalWith("app.ini", { loyal: 1 });
    },
  );
});

uwsgiPluginTest("http", "uwsgi-core")(
  'the tutorial from the ground up: --emperor "*.ini" with http.ini and uwsgi.ini',
  async () => {
    const run = newRun();
    const emperor = await follow(
      {
        plugins: "python3,http",
        cwd: run.path,
        files: {
          "code/app.py": APP,
          "static/style.css": "body {}",
          "http.ini": `[uwsgi]
strict = true
master = true

http = {host}:8000
http-keepalive = true
http-auto-gzip = true
http-to = {host}:8001

processes = 0
`,
          "uwsgi.ini": `[uwsgi]
strict = true
master = true

socket = {host}:8001

processes = 4
cheaper = 1
threads = 2

pythonpath = code/
module = app

offload-threads = 1
check-static = static/
static-gzip-all = true

collect-header = Content-Type RESPONSE_CONTENT_TYPE
response-route-if = equal:\${RESPONSE_CONTENT_TYPE};application/json addheader:uWSGI-Encoding: gzip
response-route-if = startswith:\${RESPONSE_CONTENT_TYPE};text/html addheader:uWSGI-Encoding: gzip
`,
        },
        args: ["--master", "--emperor", "*.ini"],
      },
      run,
    );
    await answers(emperor, 8000, "http");
    await emperor.logged(/vassal .*http\.ini has been spawned/);
    await emperor.logged(/vassal .*uwsgi\.ini is ready to accept requests/);
  },
);

/** An app whose config says nothing of where it listens. */
const PLAIN = "[uwsgi]\nmaster = true\nmodule = app\n";
const AT_APP_SOCK = `${PLAIN}socket = {dir}/app.sock\n`;

describe("the manual", () => {
  uwsgiTest("four formats in a directory", async () => {
    const emperor = await follow({
      files: {
        "etc/uwsgi/vassals/werkzeug.xml":
          "<uwsgi><module>werkzeug.testapp:test_app</module><master/><processes>4</processes><socket>{host}:3031</socket></uwsgi>",
        "etc/uwsgi/vassals/trac.ini":
          "[uwsgi]\nmaster = true\nprocesses = 2\nmodule = trac.web.main:dispatch_request\nenv = TRAC_ENV={dir}/project001\nsocket = {host}:3032\n",
        "etc/uwsgi/vassals/app.yml":
          "uwsgi:\n  module: app\n  master: 1\n  processes: 8\n  socket: {host}:3033\n  post-buffering: 4096\n  chdir: {dir}/site\n",
        "etc/uwsgi/vassals/django.ini":
          "[uwsgi]\nsocket = {host}:3034\nthreads = 40\nmaster = 1\nenv = DJANGO_SETTINGS_MODULE=myapp.settings\nmodule = django.core.handlers.wsgi:WSGIHandler()\nchdir = {dir}/site\n",
      },
      args: ["--emperor", "{dir}/etc/uwsgi/vassals"],
    });
    for (const port of [3031, 3032, 3033, 3034]) await answers(emperor, port);
  });

  uwsgiTest("patterns of domains and of apps in folders", async () => {
    const emperor = await follow({
      files: {
        "vassals/domains/a/conf/uwsgi.xml":
          "<uwsgi><module>app</module><master/><socket>{dir}/a.sock</socket></uwsgi>",
        "opt/apps/app1/app1.xml":
          "<uwsgi><module>app</module><master/><socket>{dir}/b.sock</socket></uwsgi>",
        "opt/apps/app2/app2.ini": `${PLAIN}socket = {dir}/c.sock\n`,
      },
      monitors: ["{vassals}/domains/*/conf/uwsgi.xml", "{dir}/opt/apps/app*/app*.*"],
    });
    for (const name of ["a", "b", "c"])
      await answers(emperor, join(emperor.run.path, `${name}.sock`));
  });

  uwsgiTest("one skeleton, a link per app, --emperor-nofollow", async () => {
    const run = newRun();
    writeFiles(run, {
      "opt/apps/app.skel":
        "[uwsgi]\nchdir = {dir}/opt/apps/%n\nmaster = true\nthreads = 20\nsocket = {dir}/%n.sock\nenv = DJANGO_SETTINGS_MODULE=%n.settings\nmodule = django.core.handlers.wsgi:WSGIHandler()\n",
      "opt/apps/app1/empty": "",
      "opt/apps/app2/empty": "",
    });
    for (const name of ["app1", "app2"])
      symlinkSync(join(run.path, "opt/apps/app.skel"), join(run.path, `opt/apps/${name}.ini`));
    const emperor = await follow(
      { files: {}, args: ["--emperor", "{dir}/opt/apps", "--emperor-nofollow"] },
      run,
    );
    for (const name of ["app1", "app2"]) await answers(emperor, join(run.path, `${name}.sock`));
  });

  uwsgiTest("vassal-set in the Emperor's own file", async () => {
    const emperor = await follow({
      files: {
        "emperor.ini":
          "[uwsgi]\nemperor = {dir}/vassals\nvassal-set = processes=8\nvassal-set = enable-metrics=1\n",
        "vassals/app.ini": AT_APP_SOCK,
      },
      args: ["--ini", "{dir}/emperor.ini"],
    });
    await answers(emperor, join(emperor.run.path, "app.sock"));
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    await emperor.wait("eight workers", () => childrenOf(pid).length === 8 && true);
  });

  uwsgiTest("UWSGI_VASSAL_SOCKET with a magic variable", async () => {
    const emperor = await follow({
      files: { "opt/apps/foo.ini": PLAIN },
      args: ["--emperor", "{dir}/opt/apps"],
      env: { UWSGI_VASSAL_SOCKET: "{dir}/%n.sock" },
    });
    await emperor.vassalWith("foo.ini", { accepting: 1 });
  });

  uwsgiTest("--vassals-include with a placeholder of the vassal", async () => {
    const emperor = await follow({
      files: {
        "opt/apps/foo.ini": `${PLAIN}vassal_name = %n\n`,
        "etc/uwsgi/vassals-default.ini": "[uwsgi]\nsocket = {dir}/%(vassal_name).sock\n",
      },
      args: [
        ...["--emperor", "{dir}/opt/apps"],
        ...["--vassals-include", "{dir}/etc/uwsgi/vassals-default.ini"],
      ],
    });
    await answers(emperor, join(emperor.run.path, "foo.sock"));
  });

  uwsgiTest("a broodlord with up to 40 zergs and its [zerg] section", async () => {
    const emperor = await follow({
      files: {
        "vassals/brood.ini": `[uwsgi]
socket = {host}:3031
master = true
vassal-sos-backlog = 10
module = werkzeug.testapp:test_app
processes = 1
zerg-server = {dir}/broodlord.sock
disable-logging = true

[zerg]
zerg = {dir}/broodlord.sock
master = true
module = werkzeug.testapp:test_app
processes = 1
disable-logging = true
idle = 30
die-on-idle = true
`,
      },
      args: ["--emperor", "{vassals}", "--emperor-broodlord", "40"],
    });
    await answers(emperor, 3031);
    await emperor.vassalWith("brood.ini", { loyal: 1, zerg: 0 });
  });

  const ON_DEMAND: readonly (readonly [string, Files, readonly string[]])[] = [
    [
      "--emperor-on-demand-extension",
      { "vassals/myapp.ini.socket": "{dir}/myapp.socket\n" },
      ["--emperor-on-demand-extension", ".socket"],
    ],
    ["--emperor-on-demand-directory", {}, ["--emperor-on-demand-directory", "{dir}"]],
  ];
  for (const [title, files, args] of ON_DEMAND) {
    uwsgiTest(`${title}: started by the first connection`, async () => {
      const emperor = await follow({
        files: { "vassals/myapp.ini": PLAIN, ...files },
        args: ["--emperor", "{vassals}", ...args],
      });
      await emperor.vassalWith("myapp.ini", { pid: -1, state: "dormant" });
      await answers(emperor, join(emperor.run.path, "myapp.socket"));
      await emperor.vassalWith("myapp.ini", { loyal: 1 });
    });
  }
});

const rootUwsgiTest = isRoot ? uwsgiTest : rootTest;

/** A folder in which everybody may make sockets. */
function openFolder(run: Run): void {
  mkdirSync(join(run.path, "open"));
  chmodSync(join(run.path, "open"), 0o777);
}

describe("the manual, as root", () => {
  const NAMESPACES = ["fs,pid", "fs,ipc,pid,uts", "fs,net,ipc,pid,uts"];
  for (const names of NAMESPACES) {
    rootUwsgiTest(`emperor-use-clone = ${names}`, async () => {
      const emperor = await follow({
        files: {
          "emperor.ini": `[uwsgi]\nemperor = {dir}/vassals\nemperor-use-clone = ${names}\n`,
          "vassals/app.ini": AT_APP_SOCK,
        },
        args: ["--ini", "{dir}/emperor.ini"],
      });
      await answers(emperor, join(emperor.run.path, "app.sock"));
    });
  }

  rootUwsgiTest("emperor-cap = setuid,net_bind_service", async () => {
    const emperor = await follow({
      files: {
        "emperor.ini": "[uwsgi]\nemperor = {dir}/vassals\nemperor-cap = setuid,net_bind_service\n",
        "vassals/app.ini": AT_APP_SOCK,
      },
      args: ["--ini", "{dir}/emperor.ini"],
    });
    await answers(emperor, join(emperor.run.path, "app.sock"));
  });

  rootUwsgiTest("emperor-use-clone = user with fewer capabilities", async () => {
    const run = newRun();
    openFolder(run);
    const emperor = await follow(
      {
        files: {
          "emperor.ini":
            "[uwsgi]\nemperor = {dir}/vassals\nemperor-use-clone = user\nemperor-cap = setuid,net_bind_service\n",
          "vassals/app.ini": `${PLAIN}socket = {dir}/open/app.sock\n`,
        },
        args: ["--ini", "{dir}/emperor.ini"],
      },
      run,
    );
    await answers(emperor, join(run.path, "open/app.sock"));
  });

  rootUwsgiTest("--uid www-data --gid www-data", async () => {
    const run = newRun();
    openFolder(run);
    const emperor = await follow(
      {
        files: { "etc/uwsgi/vassals/app.ini": `${PLAIN}socket = {dir}/open/app.sock\n` },
        args: ["--emperor", "{dir}/etc/uwsgi/vassals", "--uid", "www-data", "--gid", "www-data"],
        stats: "{dir}/open/stats.sock",
      },
      run,
    );
    await answers(emperor, join(run.path, "open/app.sock"));
    const { pid } = await emperor.vassalWith("app.ini", { loyal: 1 });
    expect(statSync(`/proc/${pid}`).uid).toBe((await emperor.stats()).uid);
    expect((await emperor.stats()).uid).not.toBe(0);
  });

  rootUwsgiTest("the tyrant of paranoid sysadmins, who is not root", async () => {
    const run = newRun();
    openFolder(run);
    // Tenants get nothing of the environment in which the other tests have this.
    writeFiles(run, {
      "tenants/app.ini": `${PLAIN}pythonpath = {dir}/site\nsocket = {dir}/open/app.sock\n`,
    });
    chownSync(join(run.path, "tenants/app.ini"), 20_001, 20_001);
    const emperor = await follow(
      {
        files: {
          "emperor.ini":
            "[uwsgi]\nuid = 10000\ngid = 10000\nemperor = {dir}/tenants\nemperor-tyrant = true\ncap = setgid,setuid\n",
        },
        args: ["--ini", "{dir}/emperor.ini"],
        stats: "{dir}/open/stats.sock",
      },
      run,
    );
    await answers(emperor, join(run.path, "open/app.sock"));
    const { pid } = await emperor.vassalWith("app.ini", { loyal: 1, uid: 20_001 });
    expect(statSync(`/proc/${pid}`).uid).toBe(20_001);
    expect((await emperor.stats()).uid).toBe(10_000);
  });
});
