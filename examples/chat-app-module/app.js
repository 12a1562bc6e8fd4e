// The rules of the chat. The gateway loads this file into each of its workers (`app.module` in holdfast.yaml).
// @ts-check
import { AppError, defineApp } from 'holdfast/app';

const LOBBY = 'chat:lobby';

export default defineApp({
  // A client connects with `{ name }`. Whoever has none is turned away.
  connect({ data }) {
    const name = nameIn(data);
    if (name === undefined) throw new AppError(1001, 'choose a name of 1 to 20 letters');
    return { user: name, info: { name }, data: { welcome: `Welcome, ${name}.` } };
  },

  async subscribe({ channel, caller }, { gateway }) {
    if (channel !== LOBBY) return undefined;
    await gateway.publish(LOBBY, { notice: `${caller.user} came in` });
    return {};
  },

  // Clients send `{ text }`; who said it, and when, is not theirs to say.
  publish({ data, caller }) {
    const text = textIn(data);
    if (text === undefined) throw new AppError(1002, 'say something, in at most 500 letters');
    if (/\bspam\b/i.test(text)) return { drop: true };
    return { data: { from: caller.user, text, at: new Date().toISOString() } };
  },

  rpc: {
    who: async (_, { gateway }) => {
      const present = await gateway.presence(LOBBY);
      return [...new Set(present.map(({ user }) => user))].toSorted();
    },
  },

  // Told afterwards, however the connection ended.
  async unsubscribe({ caller }, { gateway }) {
    await gateway.publish(LOBBY, { notice: `${caller.user} left` });
  },
});

/** @param {unknown} data */
function nameIn(data) {
  if (typeof data !== 'object' || data === null || !('name' in data)) return undefined;
  const { name } = data;
  return typeof name === 'string' && /^[\p{L}\p{N}]{1,20}$/u.test(name) ? name : undefined;
}

/** @param {unknown} data */
function textIn(data) {
  if (typeof data !== 'object' || data === null || !('text' in data)) return undefined;
  const { text } = data;
  return typeof text === 'string' && text.trim() !== '' && text.length <= 500 ? text : undefined;
}
