// `pm2 start` in this directory. Named export: pm2 reads ES modules with require, and takes nothing from a default export alone.
export const apps = [
  {
    name: 'holdfast',
    script: 'dist/main.js',
    args: 'serve',
    // Holdfast forks its own workers: pm2's cluster mode would fight them for the port.
    exec_mode: 'fork',
    instances: 1,
    // The signal goes to the primary alone, which drains; else every worker gets it first.
    treekill: false,
    // Longer than shutdown.timeout (30 s; enough for one of 60 s): what is left then is killed.
    kill_timeout: 75_000,
    // While it drains pm2 looks once a second, not ten times.
    kill_retry_time: 1000,
    // `pm2 start` returns when clients are served.
    wait_ready: true,
    listen_timeout: 30_000,
    // After a crash: 200 ms, then longer and longer.
    exp_backoff_restart_delay: 200,
    max_restarts: 10,
    // Log lines stay as they are, JSON: no time before them, no wrapping.
    merge_logs: true,
    time: false,
    // No max_memory_restart: pm2 sees the primary only, and would restart everybody for it.
    env: { NODE_ENV: 'production' },
  },
];
