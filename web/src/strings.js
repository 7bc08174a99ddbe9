// Everything that the page says: [English, 中文] side by side, so that neither can be forgotten.

const tokensEn = (n) => `${n} ${n === "1" ? "token" : "tokens"}`;
const tokensZh = (n) => `${n} 个词元`;

const TABLE = {
  skip: ["Skip to the question", "跳到输入框"],
  conversations: ["Conversations", "对话列表"],
  conversation: ["Conversation", "对话"],
  newChat: ["New chat", "新对话"],
  search: ["Search chats", "搜索对话"],
  nothingFound: ["Nothing found", "没有找到"],
  noChats: ["Your conversations are kept in this browser and appear here.", "对话保存在此浏览器中，并显示在这里。"],
  settings: ["Settings", "设置"],
  shortcuts: ["Keyboard shortcuts", "键盘快捷键"],
  hideSidebar: ["Hide conversations", "隐藏对话列表"],
  showSidebar: ["Show conversations", "显示对话列表"],
  chatMenu: ["More for this conversation", "此对话的更多操作"],
  moreFor: [(title) => `More for “${title}”`, (title) => `“${title}”的更多操作`],
  model: ["Model", "模型"],
  context: [(n) => `${n} tokens of context`, (n) => `上下文 ${n} 个词元`],
  welcome: ["Think three times, then act.", "三思而后行。"],
  welcomeLead: ["Ask something, and choose how long the model may think about it.", "提一个问题，并决定模型可以思考多久。"],
  examples: ["Example questions", "示例问题"],
  toEnd: ["Go to the end", "回到底部"],
  question: ["Your message", "你的消息"],
  askAnything: ["Ask a question", "输入问题"],
  mode: ["Thinking", "思考方式"],
  auto: ["Auto", "自动"],
  think: ["Think", "思考"],
  direct: ["At once", "直接回答"],
  autoTip: ["The model's default, or a switch in your message", "按模型默认，或按消息中的开关"],
  thinkTip: ["Think before the answer", "先思考再回答"],
  directTip: ["Answer at once, without a thought", "不思考，直接回答"],
  budget: ["Budget", "预算"],
  budgetTip: ["The most tokens that the thought may have", "思考最多可用的词元数"],
  unlimited: ["unlimited", "不限"],
  tokens: [tokensEn, tokensZh],
  noThought: ["no thought", "不思考"],
  send: ["Send", "发送"],
  stop: ["Stop", "停止"],
  hint: [
    ["Enter", " sends · ", "Shift Enter", " new line · ", "Esc", " stops · ", "?", " all shortcuts"],
    ["Enter", " 发送 · ", "Shift Enter", " 换行 · ", "Esc", " 停止 · ", "?", " 全部快捷键"],
  ],
  you: ["You", "你"],
  answer: ["Answer", "回答"],
  toolResults: ["Results of tools", "工具结果"],
  thinking: ["Thinking", "正在思考"],
  thought: ["Thought", "思考"],
  thoughtFor: [(s) => `Thought for ${s}`, (s) => `思考了 ${s}`],
  milliseconds: [(n) => `${n}\u00a0ms`, (n) => `${n}\u00a0毫秒`],
  seconds: [(n) => `${n}\u00a0s`, (n) => `${n}\u00a0秒`],
  ofBudget: [(n, budget) => `${n} of ${budget} tokens`, (n, budget) => `${n} / ${budget} 个词元`],
  endNatural: ["ended by itself", "自然结束"],
  endBudget: [(n) => `cut at the budget of ${n}`, (n) => `在预算 ${n} 处截断`],
  endReserve: ["cut to leave room for the answer", "为回答留出空间而截断"],
  endLoop: ["stopped, it was repeating itself", "因重复而停止"],
  endStop: ["the model stopped inside it", "模型在思考中停止"],
  endLength: ["ran out of tokens", "词元用尽"],
  endUser: ["stopped by you", "被你停止"],
  waiting: ["Waiting for the first token", "等待第一个词元"],
  closingPhrase: [(n) => `The last ${n} tokens of the thought are the closing phrase, not the model's own.`, (n) => `思考的最后 ${n} 个词元是结束语，并非模型所写。`],
  factThought: [(n) => `${n} thought`, (n) => `思考 ${n}`],
  factClosing: [(n) => `${n} closing`, (n) => `结束语 ${n}`],
  factAnswer: [(n) => `${n} answer`, (n) => `回答 ${n}`],
  factTokens: [(sum) => `${sum} tokens`, (sum) => `${sum} 词元`],
  factSpeed: [(n) => `${n}\u00a0tok/s`, (n) => `${n}\u00a0词元/秒`],
  factFirst: [(s) => `first\u00a0token\u00a0${s}`, (s) => `首词元\u00a0${s}`],
  about: [(text) => `about ${text}`, (text) => `约 ${text}`],
  details: ["What the server did", "服务器做了什么"],
  rowMode: ["mode", "模式"],
  modeBy: [(mode, source) => `${mode}, by ${source}`, (mode, source) => `${mode}，来自${source}`],
  modeThinking: ["thinking", "思考"],
  modeDirect: ["no thinking", "不思考"],
  sourceDefault: ["the model's default", "模型默认"],
  sourceRequest: ["this page's switch", "本页开关"],
  sourceSwitch: ["a switch in the message", "消息中的开关"],
  sourceModel: ["the model's own choice", "模型自己的选择"],
  rowAsked: ["budget asked", "请求的预算"],
  rowApplied: ["budget applied", "实际预算"],
  rowEnd: ["thought ended", "思考结束"],
  rowPreset: ["preset", "预设"],
  rowSampling: ["sampling", "采样"],
  rowSeed: ["seed", "种子"],
  rowLimit: ["at most", "上限"],
  limitValue: [(all, kept) => `${all} tokens, ${kept} of them kept for the answer`, (all, kept) => `${all} 个词元，其中 ${kept} 个留给回答`],
  rowPrompt: ["prompt", "提示"],
  promptValue: [(n, cached) => `${n} tokens, ${cached} of them cached`, (n, cached) => `${n} 个词元，其中 ${cached} 个来自缓存`],
  rowTime: ["time", "时间"],
  timeValue: [(queue, first, total) => `queue ${queue}, first token ${first}, all ${total}`, (queue, first, total) => `排队 ${queue}，首词元 ${first}，总计 ${total}`],
  rowProblems: ["problems", "问题"],
  copy: ["Copy", "复制"],
  copyMarkdown: ["Copy as Markdown", "复制为 Markdown"],
  copied: ["Copied", "已复制"],
  copyCode: ["Copy code", "复制代码"],
  regenerate: ["Regenerate", "重新生成"],
  edit: ["Edit", "编辑"],
  save: ["Send", "发送"],
  cancel: ["Cancel", "取消"],
  close: ["Close", "关闭"],
  done: ["Done", "完成"],
  editNote: ["The old message stays: this makes a branch.", "原消息会保留：这会产生一个分支。"],
  branch: [(i, n) => `Version ${i} of ${n}`, (i, n) => `版本 ${i} / ${n}`],
  previous: ["Previous version", "上一个版本"],
  next: ["Next version", "下一个版本"],
  rename: ["Rename", "重命名"],
  remove: ["Delete", "删除"],
  removed: ["Conversation deleted.", "对话已删除。"],
  removedAll: ["All conversations deleted.", "所有对话已删除。"],
  undo: ["Undo", "撤销"],
  exportOne: ["Export as JSON", "导出为 JSON"],
  exportAll: ["Export all", "全部导出"],
  importAll: ["Import", "导入"],
  removeAll: ["Delete all", "全部删除"],
  imported: [(n) => (n === 1 ? "1 conversation imported." : `${n} conversations imported.`), (n) => `已导入 ${n} 个对话。`],
  importFailed: [(why) => `Nothing was imported: ${why}`, (why) => `未导入任何内容：${why}`],
  notJson: ["the file is not JSON.", "文件不是 JSON。"],
  notOurs: ["the file is not an export of this page.", "文件不是本页面的导出文件。"],
  newerFormat: ["the file comes from a newer version.", "文件来自更新的版本。"],
  badPart: [(where) => `${where} is not as it should be.`, (where) => `${where} 不符合格式。`],
  tooLarge: ["the file is larger than 50 MB.", "文件大于 50 MB。"],
  today: ["Today", "今天"],
  yesterday: ["Yesterday", "昨天"],
  week: ["Last 7 days", "最近 7 天"],
  older: ["Older", "更早"],
  thisChat: ["This conversation", "此对话"],
  systemPrompt: ["System prompt", "系统提示"],
  systemHint: ["What the model should know or be, before the first message", "在第一条消息之前告诉模型的内容"],
  sampling: ["Sampling", "采样"],
  samplingNote: ["An empty field takes the model's preset for the mode. Grey values were used for the last answer.", "留空则采用模型在该模式下的预设。灰色数值是上一次回答所用的。"],
  presetOwn: ["Model's preset", "模型预设"],
  presetSteady: ["Steady", "稳定"],
  presetGreedy: ["Most likely", "最可能"],
  presetLively: ["Lively", "活泼"],
  presets: ["Presets", "预设"],
  temperature: ["Temperature", "温度"],
  top_p: ["Top p", "Top p"],
  top_k: ["Top k", "Top k"],
  min_p: ["Min p", "Min p"],
  presence_penalty: ["Presence penalty", "存在惩罚"],
  repetition_penalty: ["Repetition penalty", "重复惩罚"],
  seed: ["Seed", "种子"],
  max_tokens: ["Max tokens", "最大词元数"],
  random: ["random", "随机"],
  fills: ["what fits", "以上下文为限"],
  preset: ["preset", "预设"],
  rangeError: [(low, high) => `from ${low} to ${high}`, (low, high) => `应在 ${low} 到 ${high} 之间`],
  historyTitle: ["Earlier thoughts", "先前的思考"],
  historyOfficial: ["Left out (as trained)", "省略（与训练一致）"],
  historyKeep: ["Sent again", "一并发送"],
  tools: ["Tools", "工具"],
  toolsHint: ["A JSON list of functions in OpenAI's form. You give the results: nothing runs by itself.", "OpenAI 格式的函数 JSON 列表。结果由你提供，不会自动执行。"],
  toolsBad: ["This is not a JSON list of tools.", "这不是工具的 JSON 列表。"],
  thisPage: ["This page", "此页面"],
  appearance: ["Appearance", "外观"],
  system: ["System", "跟随系统"],
  light: ["Light", "浅色"],
  dark: ["Dark", "深色"],
  language: ["Language", "语言"],
  data: ["Conversations in this browser", "此浏览器中的对话"],
  stored: [(n, size) => `${n} kept, ${size} used`, (n, size) => `已保存 ${n} 个，占用 ${size}`],
  apiKey: ["API key", "API 密钥"],
  keyTitle: ["This server asks for a key", "此服务器需要密钥"],
  keyNote: ["It is sent to this server only.", "密钥只会发送到此服务器。"],
  keyWrong: ["The server did not accept this key.", "服务器没有接受此密钥。"],
  keyRemember: ["Remember it in this browser", "在此浏览器中记住"],
  keyChange: ["Change the key", "更改密钥"],
  keyUse: ["Use this key", "使用此密钥"],
  toolWants: ["Call", "调用"],
  toolWriting: ["writing the call", "正在写调用"],
  toolFor: [(name) => `Result of ${name}`, (name) => `${name} 的结果`],
  toolGive: ["What does the tool say?", "工具返回了什么？"],
  toolSend: ["Send the result", "发送结果"],
  toolCannot: [(why) => `can not be executed: ${why}`, (why) => `无法执行：${why}`],
  noArguments: ["no arguments", "没有参数"],
  stopped: ["Stopped.", "已停止。"],
  cutLength: ["The answer was cut at the token limit.", "回答在词元上限处被截断。"],
  emptyLength: ["The tokens ran out before the answer.", "在回答之前词元已用尽。"],
  emptyAnswer: ["The model ended its turn without an answer.", "模型没有给出回答就结束了。"],
  errorOffline: ["The server does not answer. Is it still running?", "服务器没有响应。它还在运行吗？"],
  errorCut: ["The connection was lost before the answer was whole.", "连接在回答完成之前中断。"],
  errorBusy: ["The server is busy: its queue is full.", "服务器繁忙：队列已满。"],
  errorBusyIn: [(s) => `The server is busy: its queue is full. It asks to wait ${s}.`, (s) => `服务器繁忙：队列已满，请等待 ${s}。`],
  errorServer: [(what) => `The server failed: ${what}`, (what) => `服务器出错：${what}`],
  errorRequest: [(what) => `The server refused this: ${what}`, (what) => `服务器拒绝了请求：${what}`],
  errorStatus: [(status) => `status ${status}`, (status) => `状态 ${status}`],
  errorKey: ["The server asks for an API key.", "服务器需要 API 密钥。"],
  errorReload: ["The page was closed before the answer was whole.", "页面在回答完成之前被关闭。"],
  retry: ["Try again", "重试"],
  enterKey: ["Enter a key", "输入密钥"],
  errorStore: ["This browser keeps nothing for this page: conversations last until it is closed.", "此浏览器不为本页面保存数据：对话在关闭后会丢失。"],
  errorQuota: ["The browser's storage is full. Export what you want to keep, and delete conversations.", "浏览器存储空间已满。请导出需要保留的内容，并删除一些对话。"],
  saidThinking: ["Thinking", "正在思考"],
  saidThought: [(n, why) => `Thought ended after ${n} tokens, ${why}.`, (n, why) => `思考结束，共 ${n} 个词元，${why}。`],
  saidAnswer: [(text) => `Answer: ${text}`, (text) => `回答：${text}`],
  keySend: ["Send the message", "发送消息"],
  keyLine: ["New line", "换行"],
  keyStop: ["Stop the answer, or close what is open", "停止回答，或关闭弹出内容"],
  keyFocus: ["Go to the message box", "跳到输入框"],
  keyEdit: ["Edit your last message (box empty)", "编辑上一条消息（输入框为空时）"],
  keyMode: ["Next thinking mode", "切换思考方式"],
  keyNew: ["New chat", "新对话"],
  keySearch: ["Search chats", "搜索对话"],
  keySidebar: ["Show or hide conversations", "显示或隐藏对话列表"],
  keySettings: ["Settings", "设置"],
  keyHelp: ["This sheet", "本列表"],
  sendsTo: ["Untitled", "无标题"],
  link: ["link", "链接"],
  image: ["image", "图片"],
  formula: ["Formula", "公式"],
  table: ["Table", "表格"],
  code: ["Code", "代码"],
};

export const LANGUAGES = { en: "English", zh: "中文" };
let index = 0;

export function setLanguage(language) {
  index = language === "zh" ? 1 : 0;
  document.documentElement.lang = index ? "zh-Hans" : "en";
}

/** The language that the browser asks for first, of those that the page speaks. */
export function browserLanguage() {
  const wish = (navigator.languages ?? [navigator.language]).find((each) => /^(en|zh)\b/i.test(each));
  return /^zh/i.test(wish ?? "") ? "zh" : "en";
}

export function t(key, ...values) {
  const entry = TABLE[key]?.[index];
  if (entry === undefined) throw new Error(`no string "${key}"`);
  return typeof entry === "function" ? entry(...values) : entry;
}

const locale = () => (index ? "zh-Hans" : "en");
export const number = (value, digits = 0) => new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
export const tokens = (count) => t("tokens", number(count));

export function seconds(value) {
  if (value > 0 && value < 0.0095) return t("milliseconds", number(Math.max(1, value * 1000))); // not "0.00 s"
  const digits = Number.isInteger(value) ? 0 : value < 0.095 ? 2 : value < 9.95 ? 1 : 0;
  return t("seconds", new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value));
}

/** Fill every element that names a string: its text, label, title or placeholder. */
export function translate(root = document) {
  const each = (attribute, act) => {
    for (const element of root.querySelectorAll(`[${attribute}]`)) act(element, t(element.getAttribute(attribute)));
  };
  each("data-t", (element, text) => (element.textContent = text));
  each("data-t-label", (element, text) => element.setAttribute("aria-label", text));
  each("data-t-placeholder", (element, text) => (element.placeholder = text));
  each("data-t-tip", (element, text) => (element.title = text));
  each("data-t-title", (element, text) => {
    element.title = text;
    element.setAttribute("aria-label", text);
  });
}
