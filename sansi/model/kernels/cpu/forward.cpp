// The whole forward pass in one call, and its C interface. The model is that of sansi/model/transformer.py; what a step
// is asked, and where keys and values lie, is said in sansi/model/native.py and attention.h.
//
// Every thread of the team walks through the same sequence of stages and does its share of each; a barrier stands between
// a stage and the next one that reads its result. Letters as in transformer.py: T new tokens, C hidden_size, H query
// heads, K key/value heads, D head_dim, E experts, A experts per token, F width of a feed-forward layer.
#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>

#include "adapters.h"
#include "attention.h"
#include "attention_plan.h"
#include "gemm.h"
#include "threads.h"

namespace sansi {
namespace {

// ---- what Python describes (the same fields in the same order in native.py) ------------------------------------------

struct Shape {
  int64_t vocab, hidden, layers, heads, kv_heads, head_dim, experts, active, normalise_experts, half_cache;
  float eps;
};

struct LayerWeights {
  const Packed* qkv;       // one, or three where they are not all of one kind
  int64_t qkv_parts;
  Packed o;
  const float *qkv_bias, *input_norm, *post_norm, *q_norm, *k_norm;  // biases, and norms of heads, may be null
  Packed router;           // E rows, or none in a dense layer
  const Packed* gate_up;   // gate rows, then up rows: one, or two; of each of E experts
  int64_t gate_up_parts;
  const Packed* down;      // one, or E
};

struct Weights {
  Packed embedding, head;
  const float* norm;
  const LayerWeights* layers;
  const Adapter* adapters;
  int64_t adapter_count;
};

struct Rotation {
  const float *cos, *sin;  // [positions][D/2]
  int64_t positions;
};

// ---- memory ----------------------------------------------------------------------------------------------------------

// Grows and never shrinks; what it held is lost when it grows.
class Buffer {
 public:
  ~Buffer() { std::free(data_); }
  void* get(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = 0;
      size_t rounded = (bytes + bytes / 4 + 4095) / 4096 * 4096;
      data_ = std::aligned_alloc(4096, rounded);
      if (!data_) throw std::bad_alloc();
      size_ = rounded;
    }
    return data_;
  }
  float* floats(size_t count) { return static_cast<float*>(get(count * sizeof(float))); }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Zeros that take no memory until they are written.
class Mapping {
 public:
  ~Mapping() { clear(); }
  void clear() {
    if (data_) munmap(data_, size_);
    data_ = nullptr;
  }
  bool allocate(size_t bytes) {
    clear();
    size_ = std::max<size_t>(bytes, 4096);
    void* at = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    data_ = at == MAP_FAILED ? nullptr : at;
    return data_ != nullptr;
  }
  char* data() const { return static_cast<char*>(data_); }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// ---- arithmetic on rows ----------------------------------------------------------------------------------------------

// x / rms(x) * weight
void rms_norm(const float* x, const float* weight, int64_t n, float eps, float* y) {
  float scale = 1.0f / std::sqrt(sum_of_squares(x, n) / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

Vec silu(Vec x) { return x / (1.0f + exp(-x)); }

void swiglu(const float* gate, const float* up, int64_t n, float* y) {
  int64_t i = 0;
  for (; i + kWide <= n; i += kWide) store(y + i, silu(load(gate + i)) * load(up + i));
  if (i < n) store_part(y + i, silu(load_part(gate + i, n - i)) * load_part(up + i, n - i), n - i);
}

// Softmax over all E, then the A largest in falling order (of equal ones the first), scaled to sum 1 if asked.
void route(const float* logits, int64_t experts, int64_t active, bool normalise, float* scratch, int32_t* chosen,
           float* weights) {
  float most = *std::max_element(logits, logits + experts), total = 0;
  for (int64_t e = 0; e < experts; e += kWide) {
    int64_t count = std::min<int64_t>(kWide, experts - e);
    store_part(scratch + e, exp(load_part(logits + e, count) - splat(most)), count);
  }
  for (int64_t e = 0; e < experts; ++e) total += scratch[e];
  float kept = 0;
  for (int64_t a = 0; a < active; ++a) {
    int64_t best = 0;
    for (int64_t e = 1; e < experts; ++e)
      if (scratch[e] > scratch[best]) best = e;
    chosen[a] = static_cast<int32_t>(best);
    weights[a] = scratch[best] / total;
    kept += weights[a];
    scratch[best] = -1.0f;
  }
  for (int64_t a = 0; normalise && a < active; ++a) weights[a] /= kept;
}

// ---- the model -------------------------------------------------------------------------------------------------------

class Model {
 public:
  Model(const Shape& shape, const Weights& weights, int threads)
      : s_(shape),
        w_(weights),
        layers_(weights.layers, weights.layers + shape.layers),
        adapters_(weights.adapters, weights.adapters + weights.adapter_count),
        team_(threads),
        plan_(shape.kv_heads, shape.heads / shape.kv_heads, team_.size()),
        sizes_(kSizes, TeamSize(team_.size())) {
    w_.layers = nullptr;
    for (const Adapter& adapter : adapters_) low_width_ = std::max(low_width_, 3 * adapter.rank);
    padded_ = padded_head(s_.head_dim);
    groups_ = s_.heads / s_.kv_heads;
    qkv_width_ = (s_.heads + 2 * s_.kv_heads) * s_.head_dim;
    for (const LayerWeights& layer : layers_) {
      int64_t width = layer.down[0].K;
      (layer.router.N ? expert_width_ : dense_width_) = width;
      is_moe_ = is_moe_ || layer.router.N;
    }
  }

  int64_t block_bytes() const { return s_.layers * (key_elements() + value_elements()) * element_size(); }

  bool allocate(int64_t blocks) {
    auto lock = enter();
    blocks_ = 0;
    size_t each = s_.layers * blocks * element_size();
    if (!keys_.allocate(each * key_elements()) || !values_.allocate(each * value_elements())) {
      keys_.clear();
      return false;
    }
    blocks_ = blocks;
    return true;
  }

  // Returns an empty string or what is wrong with the step.
  std::string forward(const Step& step, const Rotation& rotation) {
    auto lock = enter();
    std::string problem = check(step, rotation);
    if (!problem.empty()) return problem;
    step_ = &step;
    rotation_ = &rotation;
    find_adapters(step);
    plan_.make(step);
    next_item_.reset(new std::atomic<int>[s_.layers * plan_.stage_ends.size()]());
    reserve(step.tokens);
    TeamSize& size = sizes_[std::min<int64_t>(63 - __builtin_clzll(step.tokens | 1), kSizes - 1)];
    auto start = std::chrono::steady_clock::now();
    team_.run(size.next(), [this](int tid) {
      if (s_.half_cache) work<Half>(tid);
      else work<float>(tid);
    });
    size.took(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return "";
  }

 private:
  // One caller at a time. In the child of a fork the lock may be held by a thread that is not there: it gets a new one.
  std::unique_lock<std::mutex> enter() {
    if (owner_ != getpid()) {
      static_cast<void>(mutex_.release());
      mutex_ = std::make_unique<std::mutex>();
      owner_ = getpid();
    }
    return std::unique_lock<std::mutex>(*mutex_);
  }

  int64_t element_size() const { return s_.half_cache ? 2 : 4; }
  int64_t key_elements() const { return s_.kv_heads * s_.head_dim * kBlock; }  // of one block of one layer
  int64_t value_elements() const { return s_.kv_heads * kBlock * padded_; }

  std::string check(const Step& step, const Rotation& rotation) const {
    auto wrong = [](const char* what, int64_t at, int64_t value) {
      return std::string(what) + "[" + std::to_string(at) + "] is " + std::to_string(value);
    };
    for (int64_t t = 0; t < step.tokens; ++t) {
      if (step.ids[t] < 0 || step.ids[t] >= s_.vocab) return wrong("ids", t, step.ids[t]);
      if (step.positions[t] < 0 || step.positions[t] >= rotation.positions)
        return wrong("positions", t, step.positions[t]);
    }
    if (step.starts[0] != 0 || step.starts[step.sequences] != step.tokens)
      return wrong("starts", step.sequences, step.starts[step.sequences]);
    for (int64_t n = 0; n < step.sequences; ++n) {
      int64_t first = step.starts[n], count = step.starts[n + 1] - first, before = step.context[n] - count;
      if (count < 1 || step.starts[n + 1] > step.tokens) return wrong("starts", n + 1, step.starts[n + 1]);
      if (before < 0 || ceil_div(step.context[n], kBlock) > step.width) return wrong("context", n, step.context[n]);
      for (int64_t t = 0; t < count; ++t)
        if (step.positions[first + t] != before + t) return wrong("positions", first + t, step.positions[first + t]);
      for (int64_t b = 0; b * kBlock < step.context[n]; ++b) {
        int32_t block = step.tables[n * step.width + b];
        if (block < 0 || block >= blocks_) return wrong("tables", n * step.width + b, block);
      }
    }
    for (int64_t n = 0; step.adapters && n < step.sequences; ++n)
      if (step.adapters[n] < 0 || step.adapters[n] > static_cast<int64_t>(adapters_.size()))
        return wrong("adapters", n, step.adapters[n]);
    for (int64_t m = 0; m < step.rows; ++m)  // ascending, hence no more than there are tokens, for whom there is room
      if (step.wanted[m] <= (m ? step.wanted[m - 1] : -1) || step.wanted[m] >= step.tokens)
        return wrong("rows", m, step.wanted[m]);
    return "";
  }

  // Which tokens, and which of those that want logits, have which adapters.
  void find_adapters(const Step& step) {
    token_runs_.clear();
    row_runs_.clear();
    token_adapter_.clear();
    if (!step.adapters) return;
    for (int64_t n = 0; n < step.sequences; ++n)
      token_adapter_.insert(token_adapter_.end(), step.starts[n + 1] - step.starts[n], step.adapters[n]);
    find_runs(0, step.tokens, 0, [&](int64_t t) { return token_adapter_[t]; }, token_runs_);
    find_runs(0, step.rows, 0, [&](int64_t m) { return token_adapter_[step.wanted[m]]; }, row_runs_);
  }

  bool adapting() const { return !token_runs_.empty(); }

  int64_t visits() const { return is_moe_ ? s_.active : 0; }

  void reserve(int64_t tokens) {
    int64_t widest = std::max(dense_width_, expert_width_ * visits()), up = tokens * widest;
    x_ = buffers_[0].floats(tokens * s_.hidden);
    h_ = buffers_[1].floats(tokens * s_.hidden);
    qkv_ = buffers_[2].floats(tokens * qkv_width_);
    heads_ = buffers_[3].floats(tokens * s_.heads * s_.head_dim);
    gate_up_ = buffers_[4].floats(2 * up);
    act_ = buffers_[5].floats(up);
    state_ = buffers_[6].floats(plan_.slots * (padded_ + 2));
    quantised_ = buffers_[7].get(activation_space(tokens));
    thread_floats_ = ceil_div(AttentionScratch::floats(padded_) + 2 * kQueryRows * (padded_ + 2) + s_.experts, 64) * 64;
    thread_scratch_ = buffers_[8].floats(team_.size() * thread_floats_);
    if (adapting()) {
      low_ = buffers_[13].floats(tokens * std::max<int64_t>(visits(), 1) * low_width_);
      beside_ = buffers_[14].floats(tokens * s_.hidden);
    }
    if (is_moe_) {
      router_ = buffers_[9].floats(tokens * s_.experts);
      expert_weight_ = buffers_[10].floats(tokens * s_.active);
      visit_x_ = buffers_[11].floats(tokens * s_.active * s_.hidden);
      visit_y_ = buffers_[12].floats(tokens * s_.active * s_.hidden);
      chosen_.resize(tokens * s_.active);
      visit_at_.resize(tokens * s_.active);
      visit_token_.resize(tokens * s_.active);
      expert_start_.resize(s_.experts + 1);
    }
  }

  // Enough for the quantised rows of any input of this step; each expert's rows begin on a new line of 64 bytes.
  size_t activation_space(int64_t tokens) const {
    int64_t widest = std::max({s_.hidden, s_.heads * s_.head_dim, dense_width_});
    size_t most = activation_bytes(I8, tokens, ceil_div(widest, kGroup) * kGroup) + 64;
    int64_t k = ceil_div(std::max(s_.hidden, expert_width_), kGroup) * kGroup;
    if (!is_moe_) return most;
    return std::max(most, activation_bytes(I8, tokens * s_.active, k) + s_.experts * 256);
  }

  float* scratch(int tid) const { return thread_scratch_ + tid * thread_floats_; }

  // ---- stages --------------------------------------------------------------------------------------------------------

  template <class S>
  void work(int tid) {
    embed(tid);
    for (int64_t i = 0; i < s_.layers; ++i) {
      const LayerWeights& layer = layers_[i];
      norm_rows(layer.input_norm, tid);
      team_.barrier();
      multiply(layer.qkv, layer.qkv_parts, h_, step_->tokens, s_.hidden, qkv_, qkv_width_, false, tid);
      const int64_t queries = s_.heads * s_.head_dim, keys = s_.kv_heads * s_.head_dim;
      adapt(token_runs_, 3, [&](const AdapterLayer& its, int64_t, int p) -> const LowRank& { return its.qkv[p]; }, i, h_,
            s_.hidden, qkv_, qkv_width_, {0, queries, queries + keys}, tid);
      team_.barrier();
      rotate_and_store<S>(i, tid);
      team_.barrier();
      attend<S>(i, tid);
      team_.barrier();
      multiply_into_residual(layer.o, [](const AdapterLayer& its, int64_t, int) -> const LowRank& { return its.o; }, i,
                             heads_, queries, tid);
      team_.barrier();
      norm_rows(layer.post_norm, tid);
      team_.barrier();
      if (layer.router.N) mixture(layer, i, tid);
      else dense(layer, i, tid);
      team_.barrier();
    }
    if (step_->rows == 0) return;
    Share mine = share(step_->rows, tid, team_.active());
    for (int64_t m = mine.begin; m < mine.end; ++m)
      rms_norm(x_ + step_->wanted[m] * s_.hidden, w_.norm, s_.hidden, s_.eps, h_ + m * s_.hidden);
    team_.barrier();
    multiply(&w_.head, 1, h_, step_->rows, s_.hidden, step_->logits, s_.vocab, false, tid);
    auto head = [&](const Run& run, int) -> const LowRank& { return adapters_[run.adapter].head; };
    add_low_rank(row_runs_, 1, head, h_, s_.hidden, step_->logits, s_.vocab, {}, low_, low_width_, team_, tid);
  }

  // The changes of the adapters of these runs at one place of layer i; Of: (AdapterLayer, expert, part) -> LowRank.
  template <class Of>
  void adapt(const std::vector<Run>& runs, int parts, Of of, int64_t i, const float* x, int64_t k, float* y, int64_t ldy,
             std::array<int64_t, 3> at, int tid) {
    auto change_of = [&](const Run& run, int part) -> const LowRank& {
      return of(adapters_[run.adapter].layers[i], run.expert, part);
    };
    add_low_rank(runs, parts, change_of, x, k, y, ldy, at, low_, low_width_, team_, tid);
  }

  // x_ += the product and the adapters' changes; their sum is made beside x_, as gains are of it alone.
  template <class Of>
  void multiply_into_residual(const Packed& weight, Of of, int64_t i, const float* x, int64_t k, int tid) {
    const int64_t tokens = step_->tokens, c = s_.hidden;
    if (!adapting()) return multiply(&weight, 1, x, tokens, k, x_, c, true, tid);
    multiply(&weight, 1, x, tokens, k, beside_, c, false, tid);
    adapt(token_runs_, 1, of, i, x, k, beside_, c, {}, tid);
    team_.barrier();
    Share mine = share(tokens * c, tid, team_.active());
    for (int64_t j = mine.begin; j < mine.end; ++j) x_[j] += beside_[j];
  }

  // y = x * weight^T, or += where `add`; of several weights the outputs stand side by side. Ends without a barrier.
  void multiply(const Packed* weights, int64_t parts, const float* x, int64_t rows, int64_t k, float* y, int64_t ldy,
                bool add, int tid) {
    const int kind = read_as(weights, parts);
    Activations input = activations(kind, x, rows, k, k, quantised_);
    if (quantised(kind)) {
      prepare(kind, input, tid, team_.active());
      team_.barrier();
    }
    for (int64_t i = 0; i < parts; y += weights[i++].N) gemm(weights[i], input, y, ldy, add, tid, team_.active());
  }

  // A kind whose activations serve all the weights: those of integers have the floats too.
  static int read_as(const Packed* weights, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      if (quantised(weights[i].kind)) return weights[i].kind;
    return weights[0].kind;
  }

  void embed(int tid) {
    Share mine = share(step_->tokens, tid, team_.active());
    for (int64_t t = mine.begin; t < mine.end; ++t) unpack_row(w_.embedding, step_->ids[t], x_ + t * s_.hidden);
  }

  void norm_rows(const float* weight, int tid) {
    Share mine = share(step_->tokens, tid, team_.active());
    for (int64_t t = mine.begin; t < mine.end; ++t)
      rms_norm(x_ + t * s_.hidden, weight, s_.hidden, s_.eps, h_ + t * s_.hidden);
  }

  template <class S>
  S* key_storage(int64_t layer) const {
    return reinterpret_cast<S*>(keys_.data()) + layer * blocks_ * key_elements();
  }

  template <class S>
  S* value_storage(int64_t layer) const {
    return reinterpret_cast<S*>(values_.data()) + layer * blocks_ * value_elements();
  }

  // Norm and rotation of query and key heads, in place; keys and values go to their blocks. Head after head, so that a
  // thread writes neighbouring positions of the same blocks.
  template <class S>
  void rotate_and_store(int64_t layer, int tid) {
    int64_t tokens = step_->tokens, d = s_.head_dim;
    Share mine = share((s_.heads + s_.kv_heads) * tokens, tid, team_.active());
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      int64_t head = i / tokens, t = i % tokens, kv = head - s_.heads;
      float* x = qkv_ + t * qkv_width_ + head * d;
      bool query = head < s_.heads;
      const LayerWeights& weights = layers_[layer];
      const float *bias = weights.qkv_bias, *norm = query ? weights.q_norm : weights.k_norm;
      for (int64_t j = 0; bias && j < d; ++j) x[j] += bias[head * d + j];
      if (norm) rms_norm(x, norm, d, s_.eps, x);
      rotate(x, step_->positions[t], query ? 1.0f / std::sqrt(static_cast<float>(d)) : 1.0f);
      if (query) continue;
      int64_t position = step_->positions[t], offset = position % kBlock;
      int64_t block = step_->tables[plan_.sequence_of[t] * step_->width + position / kBlock];
      S* key = key_storage<S>(layer) + block * key_elements() + kv * d * kBlock + offset;
      S* value = value_storage<S>(layer) + block * value_elements() + (kv * kBlock + offset) * padded_;
      float* v = x + s_.kv_heads * d;
      for (int64_t j = 0; bias && j < d; ++j) v[j] += bias[(head + s_.kv_heads) * d + j];
      for (int64_t j = 0; j < d; ++j) put(key + j * kBlock, x[j]);
      for (int64_t j = 0; j < d; ++j) put(value + j, v[j]);
    }
  }

  // Pair (j, j + D/2) turns by its angle; the softmax's 1/sqrt(D) goes into the queries here.
  void rotate(float* x, int64_t position, float scale) const {
    int64_t half = s_.head_dim / 2;
    const float *cos = rotation_->cos + position * half, *sin = rotation_->sin + position * half;
    for (int64_t j = 0; j < half; ++j) {
      float a = x[j], b = x[j + half];
      x[j] = (a * cos[j] - b * sin[j]) * scale;
      x[j + half] = (b * cos[j] + a * sin[j]) * scale;
    }
  }

  template <class S>
  void attend(int64_t layer, int tid) {
    size_t stages = plan_.stage_ends.size();
    for (size_t stage = 0, begin = 0; stage < stages; begin = plan_.stage_ends[stage++]) {
      if (stage) team_.barrier();
      std::atomic<int>& next = next_item_[layer * stages + stage];
      for (;;) {
        size_t i = begin + next.fetch_add(1, std::memory_order_relaxed);
        if (i >= static_cast<size_t>(plan_.stage_ends[stage])) break;
        attend_item<S>(layer, plan_.items[i], scratch(tid));
      }
    }
    if (plan_.merges.empty()) return;
    team_.barrier();
    Share mine = share(plan_.merges.size(), tid, team_.active());
    for (int64_t i = mine.begin; i < mine.end; ++i) merge_parts(plan_.merges[i], scratch(tid));
  }

  Softmax softmax_at(float* at, int64_t rows) const { return {at, at + rows, at + 2 * rows}; }

  float* slot(int64_t number) const { return state_ + number * (padded_ + 2); }

  // What the rows of an item have seen: in closed parts, merged, and in the part that is open.
  struct Sight {
    Softmax closed, open;
  };

  Sight sight_of(const AttentionItem& item, float* at) const {
    if (item.sums == Sums::kScratch)
      return {softmax_at(at, kQueryRows), softmax_at(at + kQueryRows * (padded_ + 2), kQueryRows)};
    int64_t rows = plan_.state_rows, first = 2 * item.head * rows;
    return {softmax_at(slot(first), rows).from(item.first_row, padded_),
            softmax_at(slot(first + rows), rows).from(item.first_row, padded_)};
  }

  template <class S>
  void attend_item(int64_t layer, const AttentionItem& item, float* at) {
    AttentionScratch work(at, padded_);
    at += AttentionScratch::floats(padded_);
    const float* q[kQueryRows];
    int64_t visible[kQueryRows];
    const int32_t* tokens = plan_.tokens.data() + item.first_token;
    for (int r = 0; r < item.rows; ++r) {
      int64_t row = item.first_row + r, token = tokens[row / groups_];
      q[r] = qkv_ + token * qkv_width_ + (item.head * groups_ + row % groups_) * s_.head_dim;
      visible[r] = step_->positions[token] + 1;
    }
    int64_t sequence = plan_.sequence_of[tokens[item.first_row / groups_]];
    Pages<S> pages{key_storage<S>(layer) + item.head * s_.head_dim * kBlock,
                   value_storage<S>(layer) + item.head * kBlock * padded_,
                   step_->tables + sequence * step_->width,
                   key_elements(), value_elements(), s_.head_dim, padded_};
    if (item.sums == Sums::kPart) {  // merged later, with the parts that other threads did
      Softmax result = softmax_at(slot(item.slot), item.rows);
      result.clear(item.rows, padded_);
      attend_part(pages, q, visible, item.rows, item.from, item.to, result, work);
      return;
    }
    Sight seen = sight_of(item, at);
    if (item.from == 0) seen.closed.clear(item.rows, padded_);
    for (int64_t from = item.from, to; from < item.to; from = to) {
      to = std::min((from / kPartKeys + 1) * kPartKeys, item.to);
      if (from % kPartKeys == 0) seen.open.clear(item.rows, padded_);
      attend_part(pages, q, visible, item.rows, from, to, seen.open, work);
      if (to % kPartKeys != 0 && !item.last) break;  // the rows' next items go on with this part
      for (int r = 0; r < item.rows; ++r) seen.closed.merge(r, seen.open, r, padded_);
    }
    for (int r = 0; item.last && r < item.rows; ++r) {
      int64_t row = item.first_row + r;
      finish(seen.closed, r, tokens[row / groups_], item.head * groups_ + row % groups_);
    }
  }

  void merge_parts(const AttentionMerge& merge, float* at) {
    Softmax all = softmax_at(at, kQueryRows);
    all.clear(merge.rows, padded_);
    for (int64_t part = 0; part < merge.parts; ++part) {
      Softmax next = softmax_at(slot(merge.slot + part * merge.rows), merge.rows);
      for (int r = 0; r < merge.rows; ++r) all.merge(r, next, r, padded_);
    }
    for (int r = 0; r < merge.rows; ++r) finish(all, r, merge.token, merge.head + r);
  }

  void finish(const Softmax& all, int row, int64_t token, int64_t head) {
    float* to = heads_ + (token * s_.heads + head) * s_.head_dim;
    for (int64_t d = 0; d < s_.head_dim; ++d) to[d] = all.y[row * padded_ + d] / all.total[row];
  }

  void dense(const LayerWeights& layer, int64_t i, int tid) {
    int64_t tokens = step_->tokens, f = dense_width_;
    multiply(layer.gate_up, layer.gate_up_parts, h_, tokens, s_.hidden, gate_up_, 2 * f, false, tid);
    adapt(token_runs_, 2, [](const AdapterLayer& its, int64_t, int p) -> const LowRank& { return its.gate_up[p]; }, i, h_,
          s_.hidden, gate_up_, 2 * f, {0, f}, tid);
    team_.barrier();
    activate(tokens, f, tid);
    team_.barrier();
    multiply_into_residual(*layer.down, [](const AdapterLayer& its, int64_t, int) -> const LowRank& { return *its.down; },
                           i, act_, f, tid);
  }

  // silu(gate) * up for `rows` rows of gate and up side by side, cut into pieces so that one row too has many.
  void activate(int64_t rows, int64_t f, int tid) {
    constexpr int64_t kPiece = 256;
    int64_t pieces = ceil_div(f, kPiece);
    Share mine = share(rows * pieces, tid, team_.active());
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      int64_t row = i / pieces, at = i % pieces * kPiece;
      const float* gate = gate_up_ + row * 2 * f + at;
      swiglu(gate, gate + f, std::min(kPiece, f - at), act_ + row * f + at);
    }
  }

  void mixture(const LayerWeights& layer, int64_t i, int tid) {
    int64_t tokens = step_->tokens, active = s_.active, c = s_.hidden, f = expert_width_;
    multiply(&layer.router, 1, h_, tokens, c, router_, s_.experts, false, tid);
    adapt(token_runs_, 1, [](const AdapterLayer& its, int64_t, int) -> const LowRank& { return its.router; }, i, h_, c,
          router_, s_.experts, {}, tid);
    team_.barrier();
    Share mine = share(tokens, tid, team_.active());
    for (int64_t t = mine.begin; t < mine.end; ++t)
      route(router_ + t * s_.experts, s_.experts, active, s_.normalise_experts, scratch(tid), &chosen_[t * active],
            expert_weight_ + t * active);
    team_.barrier();
    if (tid == 0) sort_visits();
    team_.barrier();
    Share visits = share(tokens * active, tid, team_.active());
    for (int64_t v = visits.begin; v < visits.end; ++v)
      std::memcpy(visit_x_ + v * c, h_ + visit_token_[v] * c, c * sizeof(float));
    team_.barrier();
    multiply_experts(layer.gate_up, layer.gate_up_parts, visit_x_, c, gate_up_, 2 * f, tid);
    auto gate_up = [](const AdapterLayer& its, int64_t e, int p) -> const LowRank& { return its.gate_up[2 * e + p]; };
    adapt(visit_runs_, 2, gate_up, i, visit_x_, c, gate_up_, 2 * f, {0, f}, tid);
    team_.barrier();
    activate(tokens * active, f, tid);
    team_.barrier();
    multiply_experts(layer.down, 1, act_, f, visit_y_, c, tid);
    auto down = [](const AdapterLayer& its, int64_t e, int) -> const LowRank& { return its.down[e]; };
    adapt(visit_runs_, 1, down, i, act_, f, visit_y_, c, {}, tid);
    team_.barrier();
    for (int64_t t = mine.begin; t < mine.end; ++t) combine(t);
  }

  // Visits in the order of their experts, and of tokens within one: visit_at_[t * A + a] is the place of visit a of t.
  void sort_visits() {
    std::fill(expert_start_.begin(), expert_start_.end(), 0);
    for (int32_t expert : chosen_of_step()) ++expert_start_[expert + 1];
    for (int64_t e = 0; e < s_.experts; ++e) expert_start_[e + 1] += expert_start_[e];
    next_visit_.assign(expert_start_.begin(), expert_start_.end());
    for (int64_t i = 0; i < step_->tokens * s_.active; ++i) {
      int64_t at = next_visit_[chosen_[i]]++;
      visit_at_[i] = at;
      visit_token_[at] = static_cast<int32_t>(i / s_.active);
    }
    visit_runs_.clear();
    auto adapter_of = [&](int64_t visit) { return token_adapter_[visit_token_[visit]]; };
    for (int64_t e = 0; e < s_.experts && adapting(); ++e)
      find_runs(expert_start_[e], expert_start_[e + 1] - expert_start_[e], e, adapter_of, visit_runs_);
  }

  struct Span {
    const int32_t *first, *last;
    const int32_t* begin() const { return first; }
    const int32_t* end() const { return last; }
  };
  Span chosen_of_step() const { return {chosen_.data(), chosen_.data() + step_->tokens * s_.active}; }

  // The rows of each expert times its weights, `parts` each.
  void multiply_experts(const Packed* weights, int64_t parts, const float* x, int64_t k, float* y, int64_t n, int tid) {
    char* at = static_cast<char*>(quantised_);
    const int kind = read_as(weights, parts * s_.experts);
    auto each = [&](auto body) {
      char* space = at;
      for (int64_t e = 0; e < s_.experts; ++e) {
        int64_t first = expert_start_[e], rows = expert_start_[e + 1] - first;
        if (rows == 0) continue;
        body(weights + e * parts, activations(kind, x + first * k, rows, k, k, space), y + first * n);
        space += activation_bytes(kind, rows, k);
      }
    };
    if (quantised(kind)) {
      each([&](const Packed*, const Activations& input, float*) { prepare(kind, input, tid, team_.active()); });
      team_.barrier();
    }
    each([&](const Packed* weight, const Activations& input, float* out) {
      for (int64_t i = 0; i < parts; out += weight[i++].N) gemm(weight[i], input, out, n, false, tid, team_.active());
    });
  }

  // x[t] += the weighted sum of the token's visits, in the order of their weights.
  void combine(int64_t t) {
    float* x = x_ + t * s_.hidden;
    for (int64_t i = 0; i < s_.hidden; i += kWide) {
      int64_t count = std::min<int64_t>(kWide, s_.hidden - i);
      Vec sum{};
      for (int64_t a = t * s_.active; a < (t + 1) * s_.active; ++a)
        sum = fma(load_part(visit_y_ + visit_at_[a] * s_.hidden + i, count), splat(expert_weight_[a]), sum);
      store_part(x + i, load_part(x + i, count) + sum, count);
    }
  }

  Shape s_;
  Weights w_;
  std::vector<LayerWeights> layers_;
  std::vector<Adapter> adapters_;
  Team team_;
  AttentionPlan plan_;
  static constexpr int kSizes = 16;
  std::vector<TeamSize> sizes_;  // for steps of 1, 2..3, 4..7, ... tokens
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  pid_t owner_ = getpid();
  int64_t padded_, groups_, qkv_width_, dense_width_ = 0, expert_width_ = 0, blocks_ = 0;
  bool is_moe_ = false;
  Mapping keys_, values_;

  // Of the step that runs.
  const Step* step_ = nullptr;
  const Rotation* rotation_ = nullptr;
  std::unique_ptr<std::atomic<int>[]> next_item_;
  int64_t thread_floats_ = 0;
  Buffer buffers_[15];
  float *x_, *h_, *qkv_, *heads_, *gate_up_, *act_, *state_, *thread_scratch_;
  float *router_, *expert_weight_, *visit_x_, *visit_y_;
  float *low_ = nullptr, *beside_ = nullptr;
  int64_t low_width_ = 0;
  std::vector<int32_t> token_adapter_;
  std::vector<Run> token_runs_, row_runs_, visit_runs_;
  void* quantised_;
  std::vector<int32_t> chosen_, visit_token_;
  std::vector<int64_t> visit_at_, expert_start_, next_visit_;
};

}  // namespace
}  // namespace sansi

// ---- the C interface -------------------------------------------------------------------------------------------------

using sansi::Model;

extern "C" {

void* sansi_model_new(const sansi::Shape* shape, const sansi::Weights* weights, int threads) {
  try {
    return new Model(*shape, *weights, threads);
  } catch (...) {  // no memory; nothing may leave through C
    return nullptr;
  }
}

void sansi_model_free(void* model) { delete static_cast<Model*>(model); }

int64_t sansi_model_block_bytes(void* model) { return static_cast<Model*>(model)->block_bytes(); }

int sansi_model_allocate(void* model, int64_t blocks) { return static_cast<Model*>(model)->allocate(blocks); }

// 0: done; 1: the step is wrong, and `message` says what; 2: no memory.
int sansi_model_forward(void* model, const sansi::Step* step, const sansi::Rotation* rotation, char* message,
                        int64_t message_size) {
  try {
    std::string problem = static_cast<Model*>(model)->forward(*step, *rotation);
    std::snprintf(message, message_size, "%s", problem.c_str());
    return problem.empty() ? 0 : 1;
  } catch (const std::bad_alloc&) {
    return 2;
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
    return 1;
  }
}

}  // extern "C"
