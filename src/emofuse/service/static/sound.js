// Sends the microphone's samples, as 16 bits, to the page.
class Sound extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = [];
  }
  process([[samples]]) {
    if (!samples) return true;
    this.held.push(...samples);
    if (this.held.length >= sampleRate / 10) {
      const part = Int16Array.from(this.held, (value) => Math.max(-1, Math.min(1, value)) * 32767);
      this.port.postMessage(part.buffer, [part.buffer]);
      this.held = [];
    }
    return true;
  }
}
registerProcessor("sound", Sound);
