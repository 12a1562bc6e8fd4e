// The nodes that are linked to the embedded engine, and the messages between them. Survey answers are routed by the node
// that asked and its request id, so that nothing about a survey is kept here.
import type { FrameReader } from '../frame-reader.ts';
import type { ServerLink } from './server-link.ts';
import { FrameType } from './wire.ts';

export class NodeRegistry {
  readonly #links = new Map<string, ServerLink>();

  get nodes(): readonly string[] {
    return [...this.#links.keys()];
  }

  /** A node that comes again before its old link was seen to end takes the name over. */
  register(node: string, link: ServerLink): void {
    this.#links.get(node)?.cut(new Error('the node linked again'));
    link.node = node;
    this.#links.set(node, link);
  }

  drop(link: ServerLink): void {
    if (this.#links.get(link.node) === link) this.#links.delete(link.node);
  }

  send(from: ServerLink, frame: FrameReader): void {
    const target = this.#links.get(frame.string());
    if (target !== undefined) deliver(target, from.node, 0, frame.string(), frame.bytes());
    from.begin(FrameType.answer, frame.id).u8(target === undefined ? 0 : 1);
    from.end();
  }

  broadcast(from: ServerLink, frame: FrameReader): void {
    const kind = frame.string();
    const payload = frame.bytes();
    for (const link of this.#links.values()) deliver(link, from.node, 0, kind, payload);
    from.answer(frame.id);
  }

  survey(from: ServerLink, frame: FrameReader): void {
    const kind = frame.string();
    const payload = frame.bytes();
    // First the list, so that the asking node knows whom to wait for before the first answer comes.
    const list = from.begin(FrameType.answer, frame.id);
    for (const node of this.#links.keys()) list.string(node);
    from.end();
    for (const link of this.#links.values()) deliver(link, from.node, frame.id, kind, payload);
  }

  surveyAnswer(from: ServerLink, frame: FrameReader): void {
    const asking = this.#links.get(frame.string());
    if (asking === undefined) return;
    asking.begin(FrameType.surveyAnswer, frame.id).string(from.node).u8(frame.u8()).bytes(frame.bytes());
    asking.end();
  }
}

function deliver(link: ServerLink, from: string, surveyId: number, kind: string, payload: Buffer): void {
  link.begin(FrameType.nodeMessage, surveyId).string(from).string(kind).bytes(payload);
  link.end();
}
