/**
 * Options of uWSGI that mean nothing to an Emperor, so that configurations written for uWSGI start
 * unchanged: known, accepted, and reported once with the reason. Only names and whether they take a
 * value; the names are in long strings because a thousand objects would stay in memory for nothing.
 */
import type { OptionDefinition } from "@emperor/config";

export interface IgnoredFamily {
  readonly title: string;
  readonly reason: string;
  /** Without it something that the administrator wanted does not happen: a warning, not a remark. */
  readonly loses: boolean;
  /** Names that take a value, `name:letter` where there is a short form. */
  readonly withValue: string;
  /** Names of flags (some take an optional value). */
  readonly flags: string;
}

/** The families, in the order of the documentation. */
export const IGNORED_FAMILIES: readonly IgnoredFamily[] = [
  {
    title: "Ignored: plugins",
    reason: "there are no plugins: everything is built in",
    loses: false,
    withValue: `
        dlopen need-plugin need-plugins plugin plugin-dir plugins plugins-dir`,
    flags: `
        autoload plugin-list plugins-list`,
  },
  {
    title: "Ignored: processes and workers",
    reason: "the Emperor is one process and serves no requests itself",
    loses: false,
    withValue: `
        after-request-call after-request-hook async backtrace-depth buffer-size:b
        call-as-user-atexit call-post-app call-pre-app cheaper cheaper-algo
        cheaper-busyness-backlog-alert cheaper-busyness-backlog-multiplier
        cheaper-busyness-backlog-nonzero cheaper-busyness-backlog-step cheaper-busyness-max
        cheaper-busyness-min cheaper-busyness-multiplier cheaper-busyness-penalty
        cheaper-initial cheaper-overload cheaper-rss-limit-hard cheaper-rss-limit-soft
        cheaper-step clock cpu-affinity exec-as-user-atexit exec-post-app exec-pre-app flock
        flock-wait flock-wait2 flock2 ftok harakiri:t heartbeat hook-accepting
        hook-accepting-once hook-accepting1 hook-accepting1-once hook-as-gateway hook-as-mule
        hook-as-user-atexit hook-emperor-lost hook-emperor-reload hook-emperor-stop
        hook-master-start hook-post-app hook-post-fork hook-pre-app hook-touch lock-engine locks
        loop max-requests:R max-vars:v max-worker-lifetime max-worker-lifetime-delta
        min-worker-lifetime notify-socket optimize:O post-buffering post-buffering-bufsize prio
        processes:p procname-master sharedarea:A socket-protocol socket-rcvbuf
        socket-sndbuf socket-timeout:z static-cache-paths static-cache-paths-name static-check
        static-expires static-expires-mtime static-expires-path-info
        static-expires-path-info-mtime static-expires-type static-expires-type-mtime
        static-expires-uri static-expires-uri-mtime static-gzip static-gzip-dir static-gzip-ext
        static-gzip-prefix static-gzip-suffix static-index static-map static-map2 static-safe
        static-skip-ext tcp-fast-open tcp-fastopen thread-stack-size thread-stacksize threads
        threads-stacksize vassal-sos vassal-sos-backlog wait-for-dir wait-for-file wait-for-fs
        wait-for-fs-timeout wait-for-iface wait-for-iface-timeout wait-for-interface
        wait-for-interface-timeout wait-for-mountpoint wait-for-socket wait-for-socket-timeout
        worker-mount worker-reload-mercy workers`,
    flags: `
        catch-exceptions cheap cheaper-algo-list cheaper-algos-list cheaper-busyness-verbose
        cheaper-list clock-list clocks-list close-on-exec close-on-exec2 command-mode
        die-on-no-workers die-on-term drop-after-apps drop-after-init early-emperor
        enable-threads:T exit-on-reload freebind harakiri-no-arh harakiri-verbose honour-stdin
        ksm lazy lazy-apps loop-list loops-list master-as-root master:M need-app never-swap
        no-default-app no-defer-accept no-fd-passing no-harakiri-after-req-hook no-harakiri-arh
        no-orphans no-server no-threads-wait persistent-ipcsem reaper:r reload-os-env reuse-port
        shutdown-sockets single-interpreter:i skip-atexit skip-atexit-teardown skip-zero
        so-keepalive so-send-timeout so-write-timeout socket-send-timeout socket-write-timeout
        static-gzip-all tcp-fast-open-client tcp-fastopen-client tcp-nodelay thunder-lock ugreen
        use-abort vacuum`,
  },
  {
    title: "Ignored: request logs and alarms",
    reason: "the log has the lines of the Emperor only; see logto, log-format and log-level",
    loses: false,
    withValue: `
        alarm alarm-backlog alarm-cheap alarm-fd alarm-freq alarm-listen-queue alarm-log
        alarm-lq alarm-metric alarm-msg-size alarm-segfault backlog-alarm listen-queue-alarm
        log-alarm log-backupname log-big log-drain log-encoder log-filter log-ioerror
        log-master-bufsize log-maxsize log-req-encoder log-req-route log-route log-sendfile
        log-slow log-socket logfile-chmod logger logger-req lq-alarm metric-alarm not-alarm-log
        not-log-alarm req-logger rsyslog-packet-size segfault-alarm write-errors-tolerance`,
    flags: `
        alarm-list alarms-list disable-logging:L disable-write-exception ignore-sigpipe
        ignore-write-errors log-4xx log-5xx log-date log-format-strftime log-master
        log-master-req-stream log-master-stream log-micros log-prefix log-reopen log-syslog
        log-truncate log-x-forwarded-for log-zero logdate logfile-chown logformat-strftime
        logger-list loggers-list paste-logger rsyslog-split-messages threaded-logger
        write-errors-exception-only`,
  },
  {
    title: "Ignored: other statistics",
    reason: "the statistics of the Emperor are those of emperor-stats",
    loses: false,
    withValue: `
        carbon carbon-freq carbon-hostname-dots carbon-id carbon-idle-avg carbon-max-retry
        carbon-retry-delay carbon-root carbon-timeout metric metric-dir metric-threshold
        metrics-dir rrdtool rrdtool-freq rrdtool-lib snmp-community stats stats-push
        stats-pusher-default-freq stats-pushers-default-freq stats-server`,
    flags: `
        carbon-name-resolve carbon-no-workers carbon-resolve-names carbon-use-metrics
        enable-metrics memory-report:m metric-dir-restore metrics-dir-restore metrics-no-cores
        snmp stats-no-cores stats-no-metrics zabbix-template`,
  },
  {
    title: "Ignored: front ends and zerg",
    reason: "the Emperor serves nothing itself: put it into a vassal that is a real uWSGI",
    loses: true,
    withValue: `
        fastrouter fastrouter-buffer-size fastrouter-events fastrouter-fallback fastrouter-gid
        fastrouter-gracetime fastrouter-harakiri fastrouter-post-buffering
        fastrouter-post-buffering-dir fastrouter-processes fastrouter-quiet
        fastrouter-resubscribe fastrouter-resubscribe-bind fastrouter-ss fastrouter-stats
        fastrouter-stats-server fastrouter-subscription-fallback-key
        fastrouter-subscription-server fastrouter-subscription-slot fastrouter-timeout
        fastrouter-to fastrouter-uid fastrouter-use-base fastrouter-use-code-string
        fastrouter-use-pattern fastrouter-workers fastrouter-zerg forkpty-router
        forkpty-router-cmd forkpty-router-command forkpty-urouter forkptyrouter
        forkptyrouter-cmd forkptyrouter-cols forkptyrouter-command forkptyrouter-events
        forkptyrouter-fallback forkptyrouter-harakiri forkptyrouter-processes forkptyrouter-rows
        forkptyrouter-ss forkptyrouter-stats forkptyrouter-stats-server forkptyrouter-timeout
        forkptyrouter-workers forkptyrouter-zerg forkptyurouter http http-buffer-size
        http-connect-timeout http-events http-fallback http-gid http-gracetime http-harakiri
        http-headers-timeout http-modifier1 http-modifier2 http-processes http-quiet
        http-resubscribe http-server-name-as-http-host http-socket http-socket-modifier1
        http-socket-modifier2 http-ss http-stats http-stats-server http-stud-prefix
        http-subscription-fallback-key http-subscription-server http-timeout http-to
        http-to-https http-uid http-use-base http-use-code-string http-use-pattern http-var
        http-workers http-zerg http11-socket httprouter https https-session-context https-socket
        https-socket-modifier1 https-socket-modifier2 https2 pty-connect pty-exec pty-socket
        pty-uconnect rawrouter rawrouter-buffer-size rawrouter-events rawrouter-fallback
        rawrouter-gracetime rawrouter-harakiri rawrouter-max-retries rawrouter-processes
        rawrouter-quiet rawrouter-ss rawrouter-stats rawrouter-stats-server
        rawrouter-subscription-server rawrouter-subscription-slot rawrouter-timeout rawrouter-to
        rawrouter-use-base rawrouter-use-code-string rawrouter-use-pattern rawrouter-workers
        rawrouter-zerg shared-socket ssl-socket ssl-tmp-dir sslrouter sslrouter-buffer-size
        sslrouter-events sslrouter-fallback sslrouter-gracetime sslrouter-harakiri
        sslrouter-max-retries sslrouter-processes sslrouter-quiet sslrouter-session-context
        sslrouter-ss sslrouter-stats sslrouter-stats-server sslrouter-subscription-server
        sslrouter-timeout sslrouter-to sslrouter-use-base sslrouter-use-code-string
        sslrouter-use-pattern sslrouter-workers sslrouter-zerg sslrouter2 subscribe
        subscribe-freq subscribe-to subscribe-with-modifier1 subscribe2 subscription-algo
        subscription-notify-socket subscription-tolerance subscriptions-credentials-check
        subscriptions-sign-check subscriptions-sign-check-tolerance subscriptions-sign-skip-uid
        tuntap-device tuntap-device-rule tuntap-router tuntap-router-firewall-in
        tuntap-router-firewall-out tuntap-router-route tuntap-router-stats
        undeferred-shared-socket zerg zerg-pool zerg-server zergpool`,
    flags: `
        fastrouter-cheap fastrouter-fallback-on-no-key fastrouter-use-cache
        fastrouter-use-socket force-gateway forkptyrouter-cheap http-auto-chunked http-auto-gzip
        http-cheap http-chunked-input http-enable-proxy-protocol http-keepalive
        http-manage-expect http-manage-rtsp http-manage-source http-raw-body http-use-cache
        http-use-socket http-websockets https-export-cert pty-input pty-log pty-no-isig
        rawrouter-cheap rawrouter-use-cache rawrouter-use-socket rawrouter-xclient
        ssl-enable-sslv3 ssl-enable-tlsv1 ssl-enable3 ssl-option ssl-verbose ssl-verify-depth
        sslrouter-cheap sslrouter-sni sslrouter-use-cache sslrouter-use-socket
        start-unsubscribed subscription-dotsplit subscriptions-use-credentials
        tuntap-use-credentials unsubscribe-on-graceful-reload zerg-fallback`,
  },
  {
    title: "Ignored: schedules, daemons, spoolers",
    reason: "the Emperor runs nothing but vassals: put it into a vassal",
    loses: true,
    withValue: `
        attach-control-daemon attach-daemon attach-daemon2 cron cron-harakiri cron-legion cron2
        evil-reload-on-as evil-reload-on-rss farm fs-brutal-reload fs-reload fs-signal idle
        legion legion-attach-daemon legion-cron legion-death legion-death-on-lord-error
        legion-freq legion-join legion-lord legion-mcast legion-node legion-node-joined
        legion-node-left legion-quorum legion-scroll legion-scroll-list-max-size
        legion-scroll-max-size legion-setup legion-skew-tolerance legion-smart-attach-daemon
        legion-smart-attach-daemon2 legion-tolerance legion-unlord mule-harakiri
        mule-reload-mercy mules reload-on-as reload-on-exception-repr reload-on-exception-type
        reload-on-exception-value reload-on-fd reload-on-rss signal signal-bufsize
        signal-rbtimer signal-timer signals-bufsize smart-attach-daemon smart-attach-daemon2
        spooler-chdir spooler-external spooler-freq spooler-frequency spooler-harakiri
        spooler-import spooler-max-tasks spooler-processes spooler-py-import spooler-pyimport
        spooler-python-import spooler:Q timer touch-chain-reload touch-exec touch-logreopen
        touch-logrotate touch-mules-reload touch-reload touch-signal touch-spoolers-reload
        touch-workers-reload unique-cron unique-cron-legion unique-legion-cron worker-exec
        worker-exec2`,
    flags: `
        daemons-honour-stdin die-on-idle mule mule-msg-size propagate-touch reload-on-exception
        spooler-ordered spooler-quiet`,
  },
  {
    title: "Ignored: applications",
    reason: "it concerns an application: put it into a vassal",
    loses: true,
    withValue: `
        add-cache-item add-header allowed-modifiers asyncio auto-weight binary-append-data
        body-read-warning brutal-reload-on-fd build-plugin cache cache-blocksize
        cache-expire-freq cache-store cache-store-sync cache-sync cache-udp-node
        cache-udp-server cache2 callable cgi cgi-allowed-ext cgi-buffer-size cgi-helper
        cgi-index cgi-loadlib cgi-map-helper cgi-safe cgi-timeout cgi-unset check-interval
        check-mount check-mountpoint check-static chown-socket chunked-input-limit
        chunked-input-timeout collect-header del-header error-page-403 error-page-404
        error-page-500 error-route error-route-host error-route-if error-route-if-not
        error-route-label error-route-qs error-route-referer error-route-remote-addr
        error-route-remote-user error-route-run error-route-status error-route-uri
        error-route-user-agent eval exception-handler fallback-config fastcgi-modifier1
        fastcgi-modifier2 fastcgi-nph-socket fastcgi-socket file-serve-mode file-write
        fileserve-mode final-route final-route-host final-route-if final-route-if-not
        final-route-label final-route-qs final-route-referer final-route-remote-addr
        final-route-remote-user final-route-run final-route-status final-route-uri
        final-route-user-agent fork-server fork-socket forkbomb-delay gevent greenlet home:H
        import ini-paste ini-paste-logged jvm-classpath limit-post load-file-in-cache
        load-file-in-cache-gzip lua map-socket max-apps mem-collector-freq mime-file mimefile
        mode module:w mono-app mount mount-check mountpoint-check multicast multicast-loop
        multicast-ttl offload-thread offload-threads pam pam-user paste pecan php-allowed-ext
        php-docroot php-index php-set ping ping-timeout post-pymodule-alias pp print-sym
        print-symbol profiler protocol psgi pull-header pump puwsgi-socket py py-auto-reload
        py-auto-reload-ignore py-autoreload py-executable py-import py-program-name
        py-programname py-sharedarea py-sys-executable py-tracebacker pyargv pyhome pyimport
        pymodule-alias pypy-home pypy-wsgi pyrun python python-auto-reload python-autoreload
        python-import python-path python-raw python-worker-override pythonpath queue
        queue-blocksize queue-store queue-store-sync rack rails raw-modifier1 raw-modifier2
        raw-socket rbrequire rbtimer rem-header remap-modifier response-header-collect
        response-headers-limit response-route response-route-host response-route-if
        response-route-if-not response-route-label response-route-qs response-route-referer
        response-route-remote-addr response-route-remote-user response-route-run
        response-route-status response-route-uri response-route-user-agent route route-host
        route-if route-if-not route-label route-qs route-referer route-remote-addr
        route-remote-user route-run route-uri route-user-agent rpc-max ruby-require
        scgi-modifier1 scgi-modifier2 scgi-nph-socket scgi-socket shared-import shared-py-import
        shared-pyimport shared-python-import sni sni-dir sni-dir-ciphers sni-regexp socket:s st
        suwsgi-socket symcall symcall-post-fork symcall-register-rpc test:J threads-stack-size
        tornado udp ugreen-stacksize upload-progress uwsgi-socket venv virtualenv wait-iface
        wait-iface-timeout wait-interface wait-interface-timeout web3 webdav-add-collection-prop
        webdav-add-collection-prop-comp webdav-add-collection-prop-href webdav-add-object-prop
        webdav-add-object-prop-comp webdav-add-object-prop-href webdav-add-option
        webdav-add-prop webdav-add-prop-comp webdav-add-prop-href
        webdav-add-rtype-collection-prop webdav-add-rtype-object-prop webdav-add-rtype-prop
        webdav-class-directory webdav-css webdav-div webdav-javascript webdav-js
        webdav-lock-cache webdav-mount webdav-principal-base webdav-skip-prop websocket-max-size
        websocket-ping-freq websocket-pong-tolerance websockets-max-size websockets-ping-freq
        websockets-pong-tolerance weight wsgi-env-behavior wsgi-env-behaviour wsgi-file
        wsgi-lite wsgi`,
    flags: `
        cache-no-expire cache-report-freed-items cache-use-last-modified cflags
        cgi-async-max-attempts cgi-close-stdin-on-eof cgi-do-not-kill-on-error cgi-from-docroot
        cgi-mode:c cgi-optimize cgi-optimized cgi-path-info check-cache check-static-docroot
        config-py disable-sendfile dot-h dump-options enable-proxy-protocol gevent-monkey-patch
        honour-range ignore-script-name manage-script-name no-site pcre-jit py-call-osafterfork
        py-call-uwsgi-fork-hooks pyshell pyshell-oneshot python-version router-list routers-list
        start_response-nodelay symcall-use-next vhost vhost-host wsgi-accept-buffer
        wsgi-accept-buffers wsgi-disable-file-wrapper wsgi-strict`,
  },
];

function words(names: string): readonly string[] {
  return names.split(/\s+/).filter((name) => name !== "");
}

/** Fresh definitions at each call, so that nothing of the table stays in memory once the options are read. */
export function ignoredOptions(): OptionDefinition[] {
  const definitions: OptionDefinition[] = [];
  for (const { title, reason, withValue, flags } of IGNORED_FAMILIES) {
    const shared = {
      kind: "string",
      repeatable: true,
      since: "2.0",
      group: title,
      status: "ignored",
      reason,
    } as const;
    const help = `accepted without effect: ${reason}`;
    const add = (word: string, argument: "required" | "optional"): void => {
      const [name = "", short] = word.split(":");
      definitions.push({
        ...shared,
        name,
        help,
        argument,
        ...(short === undefined ? {} : { short }),
      });
    };
    for (const word of words(withValue)) add(word, "required");
    for (const word of words(flags)) add(word, "optional");
  }
  return definitions;
}
