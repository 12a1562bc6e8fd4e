// The NodeBus of a worker at the embedded engine: payloads are JSON, routed by the engine.
import type { Logger } from '../../observe/logger.ts';
import type { NodeBus, SurveyAnswer, SurveyResult } from '../node-bus.ts';
import type { ClientLink } from './client-link.ts';
import type { FrameReader } from '../frame-reader.ts';
import { FrameType } from './wire.ts';

type Handler = (payload: unknown, from: string) => unknown;

interface Survey {
  readonly waitingFor: Set<string>;
  readonly answers: SurveyAnswer[];
  readonly missing: string[];
  finish(): void;
}

export interface ClientNodeBusDeps {
  readonly link: ClientLink;
  readonly node: string;
  readonly logger: Logger | undefined;
}

export class ClientNodeBus implements NodeBus {
  readonly node: string;
  readonly #link: ClientLink;
  readonly #logger: Logger | undefined;
  readonly #handlers = new Map<string, Handler>();
  /** By the id of the request that asked. */
  readonly #surveys = new Map<number, Survey>();

  constructor(deps: ClientNodeBusDeps) {
    this.node = deps.node;
    this.#link = deps.link;
    this.#logger = deps.logger;
  }

  async send(node: string, kind: string, payload: unknown): Promise<boolean> {
    const bytes = encode(payload);
    return this.#link.request(FrameType.nodeSend, {
      write: (frame) => frame.string(node).string(kind).bytes(bytes),
      read: (frame) => frame.u8() !== 0,
    });
  }

  async broadcast(kind: string, payload: unknown): Promise<void> {
    const bytes = encode(payload);
    await this.#link.request(FrameType.nodeBroadcast, {
      write: (frame) => frame.string(kind).bytes(bytes),
      read: () => undefined,
    });
  }

  async survey(kind: string, payload: unknown, timeoutMs: number): Promise<SurveyResult> {
    const bytes = encode(payload);
    let surveyId = 0;
    const survey = await this.#link.request(FrameType.survey, {
      write: (frame, id) => {
        surveyId = id;
        return frame.string(kind).bytes(bytes);
      },
      // Answers may follow in the same chunk, so the survey must be there when this returns.
      read: (frame) => this.#begin(surveyId, frame),
    });
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(deadline);
        this.#surveys.delete(surveyId);
        resolve({ answers: survey.answers, missing: [...survey.missing, ...survey.waitingFor] });
      };
      const deadline = setTimeout(finish, timeoutMs);
      survey.finish = finish;
      if (survey.waitingFor.size === 0 || !this.#surveys.has(surveyId)) finish();
    });
  }

  handle(kind: string, handler: Handler): void {
    this.#handlers.set(kind, handler);
  }

  /** A message or a question of another node, or of this one. */
  onMessage(frame: FrameReader): void {
    const { id } = frame;
    const from = frame.string();
    const kind = frame.string();
    const payload = frame.bytes().toString();
    void this.#handle(id, from, kind, payload);
  }

  onSurveyAnswer(frame: FrameReader): void {
    const node = frame.string();
    const isAnswer = frame.u8() !== 0;
    const survey = this.#surveys.get(frame.id);
    if (survey?.waitingFor.delete(node) !== true) return;
    if (isAnswer) survey.answers.push({ node, result: JSON.parse(frame.bytes().toString()) });
    else survey.missing.push(node);
    if (survey.waitingFor.size === 0) survey.finish();
  }

  /** No answer comes any more: surveys end with what they have. */
  interrupted(): void {
    const surveys = [...this.#surveys.values()];
    this.#surveys.clear();
    for (const survey of surveys) survey.finish();
  }

  #begin(id: number, frame: FrameReader): Survey {
    const waitingFor = new Set<string>();
    while (!frame.done) waitingFor.add(frame.string());
    const survey: Survey = { waitingFor, answers: [], missing: [], finish: () => undefined };
    this.#surveys.set(id, survey);
    return survey;
  }

  async #handle(surveyId: number, from: string, kind: string, payload: string): Promise<void> {
    const handler = this.#handlers.get(kind);
    let answer: Buffer | undefined;
    try {
      if (handler !== undefined) answer = encode(await handler(JSON.parse(payload), from));
      else this.#logger?.warn({ kind, from }, 'node message of an unknown kind');
    } catch (error) {
      this.#logger?.error({ err: error, kind, from }, 'node message handler failed');
    }
    if (surveyId === 0 || !this.#link.up) return;
    const frame = this.#link.begin(FrameType.surveyAnswer, surveyId).string(from);
    frame.u8(answer === undefined ? 0 : 1).bytes(answer ?? NOTHING);
    this.#link.end();
  }
}

const NOTHING = Buffer.alloc(0);

/** `undefined` travels as null, as it does within JSON arrays. */
function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value) ?? 'null');
}
