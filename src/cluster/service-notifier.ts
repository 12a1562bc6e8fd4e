// Tells the service manager how we are: systemd through its own systemd-notify program (Node cannot speak to a datagram
// UNIX socket), pm2 through the channel it forked us with.
import { spawn } from 'node:child_process';
import type { Logger } from '../observe/logger.ts';

interface NotifierDeps {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Says 'ready' to the parent; absent when there is no channel to one. */
  readonly sendToParent: ((message: string) => unknown) | undefined;
  /** Program that passes its arguments on; 'systemd-notify' but in tests. */
  readonly program: string;
}

/** A status line is news only while it is fresh: what waits behind a slow notification is replaced, not queued. */
const MAX_WAITING = 8;
const PROGRAM_TIMEOUT_MS = 5000;

export class ServiceNotifier {
  readonly #deps: NotifierDeps;
  readonly #isSystemd: boolean;
  #waiting: (readonly string[])[] = [];
  #running: Promise<void> | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
    this.#isSystemd = (deps.environment['NOTIFY_SOCKET'] ?? '') !== '';
  }

  ready(status: string): void {
    this.#notify('READY=1', `STATUS=${status}`);
    if (this.#deps.environment['pm_id'] !== undefined) this.#deps.sendToParent?.('ready');
  }

  reloading(status: string): void {
    this.#notify('RELOADING=1', `STATUS=${status}`);
  }

  /** This process is the service from now on. Resolves when systemd has worked on that: the other one may end. */
  async adopted(status: string): Promise<void> {
    this.#notify(`MAINPID=${process.pid}`, 'READY=1', `STATUS=${status}`);
    await this.#running;
  }

  stopping(status: string): void {
    this.#notify('STOPPING=1', `STATUS=${status}`);
  }

  status(status: string): void {
    this.#notify(`STATUS=${status}`);
  }

  /** Feeds the watchdog at half its period, but only while `isWell`: else systemd shall restart us. */
  startWatchdog(isWell: () => boolean): void {
    const periodMs = this.#watchdogPeriodMs();
    if (periodMs === undefined) return;
    this.#watchdog ??= setInterval(() => {
      if (isWell()) this.#notify('WATCHDOG=1');
    }, periodMs / 2);
  }

  /** Resolves when everything said has been passed on. May be called twice. */
  async close(): Promise<void> {
    clearInterval(this.#watchdog);
    this.#watchdog = undefined;
    await this.#running;
  }

  #watchdogPeriodMs(): number | undefined {
    const { environment } = this.#deps;
    const periodMs = Number(environment['WATCHDOG_USEC'] ?? 0) / 1000;
    const meant = environment['WATCHDOG_PID'];
    const isForUs = meant === undefined || Number(meant) === process.pid;
    return this.#isSystemd && isForUs && periodMs > 0 ? periodMs : undefined;
  }

  #notify(...words: readonly string[]): void {
    if (!this.#isSystemd) return;
    this.#waiting.push(words);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    // One after the other: READY must not overtake RELOADING.
    this.#running ??= this.#passOn().finally(() => {
      this.#running = undefined;
    });
  }

  async #passOn(): Promise<void> {
    for (let words = this.#waiting.shift(); words !== undefined; words = this.#waiting.shift()) {
      await this.#run(words);
    }
  }

  #run(words: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      const child = spawn(this.#deps.program, words, { stdio: 'ignore' });
      const timer = setTimeout(() => child.kill('SIGKILL'), PROGRAM_TIMEOUT_MS);
      child.once('error', (error) => {
        clearTimeout(timer);
        this.#deps.logger.warn({ err: error }, 'cannot notify the service manager');
        resolve();
      });
      child.once('exit', (code) => {
        clearTimeout(timer);
        if (code !== 0) this.#deps.logger.warn({ code, word: words[0] }, 'service manager was not notified');
        resolve();
      });
    });
  }
}
