// Who attends to what in a step: its attention cut into items that threads take, the same for every layer.
//
// Rows of one kv head share a pass over the keys, so that a key is read once for all of them: rows of one sequence, and
// rows of sequences with one new token each whose block tables begin with the same blocks, as those of requests with a
// common prefix do (Hydragen: Juravsky et al. 2024, arXiv:2402.05099). Unlike there, the two pieces of a row are not
// computed apart and joined: the sums over the shared keys are left in memory, and the row's next item goes on from
// them, so that its bits are those of a row alone. What one item leaves for another lies a stage earlier; tables that
// part more than once make more stages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "attention.h"

namespace sansi {

// What Python asks (sansi/model/native.py).
struct Step {
  int64_t tokens, sequences, width, rows;
  const int32_t *ids, *positions, *starts, *context, *tables, *wanted;
  const int32_t* adapters;  // [sequences], 0: none, i: the i-th; null: nobody has one
  float* logits;  // [rows][vocab]
};

// Where an item's sums are: in the thread's scratch, from the first key to the last; in a slot, for one part that is
// merged later; or in the rows' states, where the item before left them.
enum class Sums { kScratch, kPart, kState };

// Rows [first_row, first_row + rows) of one kv head that share a pass over the keys [from, to). Row r is of the token
// tokens[first_token + r / groups], query head r % groups of the group.
struct AttentionItem {
  int64_t first_token, first_row, head, rows, from, to;
  Sums sums;
  int stage;
  bool last;     // to the last key of its rows: the result is due
  int64_t slot;  // of a part
};

// Rows of `token` from query head `head` on whose parts were done apart and must be merged.
struct AttentionMerge {
  int64_t token, head, rows, parts, slot;
};

class AttentionPlan {
 public:
  AttentionPlan(int64_t kv_heads, int64_t groups, int threads)
      : kv_heads_(kv_heads), groups_(groups), threads_(threads) {}

  std::vector<AttentionItem> items;    // stage by stage, the longest of each first
  std::vector<int> stage_ends;         // stage s is items [stage_ends[s - 1], stage_ends[s])
  std::vector<AttentionMerge> merges;  // once all items are done
  std::vector<int32_t> tokens;         // all tokens of the step, then those that share or could: neighbours share most
  std::vector<int32_t> sequence_of;    // of a token
  int64_t slots = 0;                   // rows of sums that parts and states take
  int64_t state_rows = 0;              // of one kv head; the states of head h are rows 2 * h * state_rows on

  void make(const Step& step) {
    step_ = &step;
    items.clear();
    merges.clear();
    stage_ends.clear();
    slots = state_rows = 0;
    sequence_of.resize(step.tokens);
    tokens.resize(step.tokens);
    std::iota(tokens.begin(), tokens.end(), 0);
    bool few = threads_ > 1 && step.sequences * kv_heads_ < 4 * threads_;  // fewer items than threads want
    for (int64_t n = 0; n < step.sequences; ++n) {
      int64_t first = step.starts[n], count = step.starts[n + 1] - first;
      std::fill(&sequence_of[first], &sequence_of[first] + count, static_cast<int32_t>(n));
      if (count == 1 && few && step.context[n] > kPartKeys) add_parts(first);
      else if (count == 1 && !few) tokens.push_back(static_cast<int32_t>(first));
      else add_sequence(first, count);
    }
    int64_t lone = static_cast<int64_t>(tokens.size()) - step.tokens;
    if (lone) add_sharing(0, lone, 0, 0);
    if (state_rows) slots = 2 * kv_heads_ * state_rows;
    sort_items();
  }

 private:
  int64_t visible(int64_t token) const { return step_->positions[token] + 1; }
  int32_t* lone(int64_t i) { return tokens.data() + step_->tokens + i; }

  void add_sequence(int64_t first, int64_t count) {
    for (int64_t head = 0; head < kv_heads_; ++head)
      for (int64_t row = 0; row < count * groups_; row += kQueryRows) {
        int64_t rows = std::min<int64_t>(kQueryRows, count * groups_ - row);
        int64_t keys = visible(first + (row + rows - 1) / groups_);  // what the last row sees
        items.push_back({first, row, head, rows, 0, keys, Sums::kScratch, 0, true, 0});
      }
  }

  void add_parts(int64_t token) {
    int64_t keys = visible(token), parts = ceil_div(keys, kPartKeys);
    for (int64_t head = 0; head < kv_heads_; ++head)
      for (int64_t row = 0; row < groups_; row += kQueryRows) {
        int64_t rows = std::min<int64_t>(kQueryRows, groups_ - row);
        merges.push_back({token, head * groups_ + row, rows, parts, slots});
        for (int64_t from = 0; from < keys; from += kPartKeys, slots += rows)
          items.push_back(
              {token, row, head, rows, from, std::min(from + kPartKeys, keys), Sums::kPart, 0, false, slots});
      }
  }

  // The tokens lone [first, last) and their keys from `from` on, before which their tables are the same.
  void add_sharing(int64_t first, int64_t last, int64_t from, int stage) {
    if (last - first == 1) {
      Sums sums = from ? Sums::kState : Sums::kScratch;
      add_rows(first, last, {step_->tokens, 0, 0, 0, from, visible(*lone(first)), sums, stage, true, 0});
      return;
    }
    int64_t tile = from / kKeyTile;
    while (std::all_of(lone(first), lone(last), [&](int32_t t) { return same_tile(*lone(first), t, tile); })) ++tile;
    int64_t to = tile * kKeyTile;
    if (to > from) add_rows(first, last, {step_->tokens, 0, 0, 0, from, to, Sums::kState, stage++, false, 0});
    std::sort(lone(first), lone(last), [&](int32_t a, int32_t b) { return before(a, b, tile); });
    for (int64_t end; first < last; first = end) {
      for (end = first + 1; end < last && same_tile(*lone(first), *lone(end), tile);) ++end;
      add_sharing(first, end, to, stage);
    }
  }

  // For each kv head the item `like` with the rows of the tokens lone [first, last).
  void add_rows(int64_t first, int64_t last, AttentionItem like) {
    int64_t rows = (last - first) * groups_, pieces = ceil_div(rows, kQueryRows);
    if (like.sums == Sums::kState) {
      state_rows = ceil_div((tokens.size() - step_->tokens) * groups_, 16) * 16;
      pieces = std::max(pieces, std::min(ceil_div(rows, 4), ceil_div(2 * threads_, kv_heads_)));
    }
    int64_t most = std::min<int64_t>(ceil_div(ceil_div(rows, pieces), 4) * 4, kQueryRows);  // four rows go together
    for (like.head = 0; like.head < kv_heads_; ++like.head)
      for (int64_t row = 0; row < rows; row += most) {
        like.first_row = first * groups_ + row;
        like.rows = std::min(most, rows - row);
        items.push_back(like);
      }
  }

  // Whether all keys of the tile were there before the token, so that none that it alone writes is among them.
  bool is_whole(int32_t token, int64_t tile) const { return step_->positions[token] >= (tile + 1) * kKeyTile; }

  int compare(int32_t a, int32_t b, int64_t tile) const {
    auto blocks = [&](int32_t t) { return step_->tables + sequence_of[t] * step_->width + tile * kKeyTile / kBlock; };
    return std::memcmp(blocks(a), blocks(b), kKeyTile / kBlock * sizeof(int32_t));
  }

  bool same_tile(int32_t a, int32_t b, int64_t tile) const {
    return is_whole(a, tile) && is_whole(b, tile) && compare(a, b, tile) == 0;
  }

  bool before(int32_t a, int32_t b, int64_t tile) const {
    if (!is_whole(a, tile) || !is_whole(b, tile)) return is_whole(a, tile) && !is_whole(b, tile);
    return compare(a, b, tile) < 0;
  }

  void sort_items() {
    auto work = [this](const AttentionItem& item) { return threads_ > 1 ? item.rows * (item.to - item.from) : 0; };
    std::stable_sort(items.begin(), items.end(), [&](const AttentionItem& a, const AttentionItem& b) {
      return a.stage != b.stage ? a.stage < b.stage : work(a) > work(b);
    });
    for (size_t i = 0; i < items.size(); ++i)
      if (i + 1 == items.size() || items[i + 1].stage != items[i].stage) stage_ends.push_back(static_cast<int>(i + 1));
  }

  int64_t kv_heads_, groups_, threads_;
  const Step* step_ = nullptr;
};

}  // namespace sansi
