// Hashed n-grams of texts, and the sums of their vectors. `features.py` says what they are and does the same with numpy:
// all numbers are integers, so both give the same bits.
#include <cstdint>
#include <vector>

namespace {

constexpr uint32_t kKnown = 0x20000;  // characters below have a row in the tables
constexpr uint32_t kHanEnd = 0x40000;
constexpr uint32_t kSpace = 0x20, kApostrophe = 0x27;
constexpr uint32_t kGram = 0x811c9dc5, kWord = 0x2545f491, kShape = 0x9e3779b9;
constexpr uint8_t kMark = 254, kApostropheClass = 255;

inline uint32_t mix(uint32_t hash, uint32_t value) {
  hash = (hash ^ value) * 0x9e3779b1u;
  return hash ^ (hash >> 15);
}

struct Tables {
  const uint8_t* classes;   // [kKnown] script of a letter, 0 for no letter, kMark, kApostropheClass
  const uint32_t* folded;   // [kKnown] lower case
  const uint16_t* shapes;   // [kKnown] what the "not text" features see of a character
  const uint8_t* groups;    // [scripts] scripts that are told apart together
  const uint8_t* weights;   // [scripts] letters that a character counts
  const uint8_t* longest;   // [groups] of the n-grams
  int32_t scripts, groups_count, han, max_word, max_shape, run;
};

struct Text {
  std::vector<uint8_t> classes;
  std::vector<uint32_t> stream, shape;
};

uint8_t class_of(const Tables& t, uint32_t c) {
  return c < kKnown ? t.classes[c] : c < kHanEnd ? static_cast<uint8_t>(t.han) : 0;
}

int resolve(const Tables& t, const uint32_t* chars, int64_t count, Text& text, int32_t* histogram) {
  text.classes.resize(count);
  uint8_t before = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint8_t kind = class_of(t, chars[i]);
    if (kind == kMark) kind = before;
    if (kind == kApostropheClass) {
      const uint8_t after = i + 1 < count ? class_of(t, chars[i + 1]) : 0;
      kind = after > 0 && after < kMark ? before : 0;
    }
    text.classes[i] = before = kind;
    histogram[kind] += kind > 0;
  }
  std::vector<int32_t> sizes(t.groups_count, 0);
  for (int s = 1; s < t.scripts; ++s) sizes[t.groups[s]] += histogram[s] * t.weights[s];
  int best = 0;
  for (int g = 1; g < t.groups_count; ++g)
    if (sizes[g] > sizes[best]) best = g;
  return best;
}

template <class Emit>
void grams(const Tables& t, const uint32_t* chars, int64_t count, int group, Text& text, Emit emit) {
  auto& s = text.stream;
  s.assign(1, kSpace);
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t c = chars[i];
    const uint8_t kind = text.classes[i];
    if (kind > 0 && t.groups[kind] == group)
      s.push_back(c >= kKnown ? c : t.classes[c] == kApostropheClass ? kApostrophe : t.folded[c]);
    else if (s.back() != kSpace)
      s.push_back(kSpace);
  }
  if (s.back() != kSpace) s.push_back(kSpace);
  const int64_t size = static_cast<int64_t>(s.size());
  const int longest = t.longest[group];
  for (int64_t i = 0; i < size; ++i) {
    uint32_t hash = kGram;
    for (int n = 1; n <= longest && i + n <= size; ++n) {
      const uint32_t c = s[i + n - 1];
      hash = mix(hash, c);
      if (n > 1 || c != kSpace) emit(hash);
      if (n > 1 && c == kSpace) break;
    }
  }
  if (longest < 3) return;  // no spaces between words
  for (int64_t i = 1; i < size;) {
    int64_t end = i;
    uint32_t hash = kWord;
    while (s[end] != kSpace) hash = mix(hash, s[end++]);
    if (end - i <= t.max_word) emit(hash);
    i = end + 1;
  }
}

template <class Emit>
void shapes(const Tables& t, const uint32_t* chars, int64_t count, Text& text, Emit emit) {
  auto& s = text.shape;
  s.clear();
  int run = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t code = chars[i] < kKnown ? t.shapes[chars[i]] : chars[i] < kHanEnd ? t.shapes[0x4e00] : 0;
    run = i > 0 && code == (chars[i - 1] < kKnown ? t.shapes[chars[i - 1]] : chars[i - 1] < kHanEnd ? t.shapes[0x4e00] : 0)
              ? run + 1
              : 1;
    if (run <= t.run) s.push_back(code);
  }
  const int64_t size = static_cast<int64_t>(s.size());
  for (int64_t i = 0; i < size; ++i) {
    uint32_t hash = kShape;
    for (int n = 1; n <= t.max_shape && i + n <= size; ++n) emit(hash = mix(hash, s[i + n - 1]));
  }
}

inline void add(int32_t* sum, const int8_t* vector, int width) {
  for (int k = 0; k < width; ++k) sum[k] += vector[k];
}

}  // namespace

extern "C" {

// Sums of vectors: sums [texts, width], counts [texts], shape_sums [texts, shape_width], shape_counts [texts],
// group [texts], histogram [texts, scripts], all zero before.
void sansi_lid_sums(const Tables* t, const uint32_t* chars, const int64_t* offsets, int64_t texts, const int8_t* vectors,
                    uint32_t mask, int width, const int8_t* shape_vectors, uint32_t shape_mask, int shape_width,
                    int32_t* sums, int32_t* counts, int32_t* shape_sums, int32_t* shape_counts, int32_t* group,
                    int32_t* histogram) {
  Text text;
  for (int64_t i = 0; i < texts; ++i) {
    const uint32_t* own = chars + offsets[i];
    const int64_t count = offsets[i + 1] - offsets[i];
    group[i] = resolve(*t, own, count, text, histogram + i * t->scripts);
    int32_t* sum = sums + i * width;
    grams(*t, own, count, group[i], text, [&](uint32_t hash) {
      add(sum, vectors + static_cast<int64_t>(hash & mask) * width, width);
      ++counts[i];
    });
    int32_t* shape_sum = shape_sums + i * shape_width;
    shapes(*t, own, count, text, [&](uint32_t hash) {
      add(shape_sum, shape_vectors + static_cast<int64_t>(hash & shape_mask) * shape_width, shape_width);
      ++shape_counts[i];
    });
  }
}

// The hashes themselves, for the trainer; capacity: at least 6 a character and 6 more (n-grams), max_shape a character.
void sansi_lid_hashes(const Tables* t, const uint32_t* chars, int64_t count, uint32_t* hashes, int64_t* hash_count,
                      uint32_t* shape_hashes, int64_t* shape_count, int32_t* group, int32_t* histogram) {
  Text text;
  *group = resolve(*t, chars, count, text, histogram);
  *hash_count = *shape_count = 0;
  grams(*t, chars, count, *group, text, [&](uint32_t hash) { hashes[(*hash_count)++] = hash; });
  shapes(*t, chars, count, text, [&](uint32_t hash) { shape_hashes[(*shape_count)++] = hash; });
}
}
