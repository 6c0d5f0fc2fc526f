#include "train/kl_from_base.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "train/evaluation_progress.h"
#include "train/prompt.h"

namespace slotwise {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

// Final hidden states of the tokens that count, [n, hidden].
Tensor counted_hidden(MemoryModel& model, const ModelBatch& batch) {
  const Tensor all = model.decoder().hidden(batch.tokens, batch.context).value();
  const Tensor out =
      Tensor::empty({batch.targets.count(), all.size(1)}, DType::f32, all.device(), "kl");
  kernels::gather_rows({.y = out, .x = all, .rows = batch.targets.rows});
  return out;
}

Tensor logits_of(MemoryModel& model, const Tensor& hidden) {
  const Tensor& head = model.decoder().head().value();
  const Tensor logits =
      Tensor::empty({hidden.size(0), head.size(0)}, DType::f32, hidden.device(), "kl");
  kernels::gemm({.c = logits, .a = hidden, .b = head, .transpose_b = true});
  return logits.to(Device{});
}

// Of every token that counts, in order.
std::vector<double> divergences(MemoryModel& base, MemoryModel& finetuned,
                                const ModelBatch& base_batch, const ModelBatch& finetuned_batch) {
  constexpr std::int64_t kLogits = 1 << 24;  // of one model at a time
  const Tensor base_hidden = counted_hidden(base, base_batch);
  const Tensor finetuned_hidden = counted_hidden(finetuned, finetuned_batch);
  const std::int64_t count = base_hidden.size(0);
  const std::int64_t vocabulary = base.decoder().head().value().size(0);
  const std::int64_t step = std::max<std::int64_t>(1, kLogits / vocabulary);
  std::vector<double> out(static_cast<std::size_t>(count));
  for (std::int64_t begin = 0; begin < count; begin += step) {
    const std::int64_t end = std::min(count, begin + step);
    const Tensor p = logits_of(base, base_hidden.slice(begin, end));
    const Tensor q = logits_of(finetuned, finetuned_hidden.slice(begin, end));
    parallel_for(end - begin, 8, [&](std::int64_t from, std::int64_t to, int) {
      for (std::int64_t i = from; i < to; ++i) {
        out[static_cast<std::size_t>(begin + i)] =
            kl_divergence(p.slice(i, i + 1).span<float>(), q.slice(i, i + 1).span<float>());
      }
    });
  }
  return out;
}

// Divergence and tokens of a part of every row that has such tokens; rows of a document together.
struct PartSums {
  std::vector<double> sums, tokens;

  void add(const double* begin, const double* end, bool same_document) {
    if (begin == end) return;
    if (!same_document || sums.empty()) {
      sums.push_back(0);
      tokens.push_back(0);
    }
    sums.back() += std::accumulate(begin, end, 0.0);
    tokens.back() += static_cast<double>(end - begin);
  }

  Measurement measurement(const std::string& role, const std::string& key,
                          const std::string& where) const {
    const double all = std::accumulate(tokens.begin(), tokens.end(), 0.0);
    return {.set = role,
            .key = key,
            .name = "KL(base || finetuned), nats a token: " + where,
            .value = std::accumulate(sums.begin(), sums.end(), 0.0) / all,
            .interval = bootstrap_interval(sums, tokens),
            .count = static_cast<std::int64_t>(all),
            .counted = "tokens"};
  }
};

}  // namespace

double kl_divergence(std::span<const float> base, std::span<const float> finetuned) {
  SLOTWISE_CHECK(base.size() == finetuned.size() && !base.empty(),
                 "[kl] expected logits over one vocabulary, got {} and {}", base.size(),
                 finetuned.size());
  const double base_norm = log_sum_exp(base), finetuned_norm = log_sum_exp(finetuned);
  double sum = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const double log_p = base[i] - base_norm;
    sum += std::exp(log_p) * (log_p - (finetuned[i] - finetuned_norm));
  }
  return sum < 0 ? 0.0 : sum;  // rounding can fall below; NaN stays
}

KlSet kl_questions(const QuestionSet& set, const Tokenizer& tokenizer, std::int64_t positions) {
  KlSet out{.role = set.role, .has_answers = true};
  for (const Question& question : set.questions) {
    const std::string prompt = asked_text(question);
    ScoredRow row =
        scored_row(encode_pair(tokenizer, prompt, following(prompt, question.answers.front())));
    const std::size_t before = row.tokens.size();
    if (!fit_row(row, positions)) {
      ++out.left_out;
      continue;
    }
    out.cut += row.tokens.size() < before ? 1 : 0;
    out.rows.push_back(std::move(row));
  }
  return out;
}

KlSet kl_text(const std::string& role, const TokenRows& windows,
              const std::vector<std::int64_t>& documents) {
  KlSet out{.role = role};
  for (std::size_t i = 0; i < windows.size(); ++i) {
    if (windows[i].size() < 2) continue;
    out.rows.push_back({windows[i], 1});
    out.documents.push_back(documents[i]);
  }
  return out;
}

Measured measure_kl(MemoryModel& base, MemoryModel& finetuned, const KlSet& set, bool quiet) {
  const NoGrad no_grad;
  std::vector<ScoredRow> rows = set.rows;  // with all tokens predicted
  for (ScoredRow& row : rows) row.first = 1;
  const std::vector<RowRange> ranges = row_ranges(rows);
  EvaluationProgress progress("KL, " + set.role, static_cast<std::int64_t>(ranges.size()), quiet);
  PartSums all, prompts, answers;
  for (const RowRange& range : ranges) {
    const ModelBatch batch = scored_batch(rows, range, base.device());
    const std::vector<double> each =
        divergences(base, finetuned, batch, scored_batch(rows, range, finetuned.device()));
    const double* next = each.data();
    for (std::size_t i = range.first; i < range.second; ++i) {
      const double* end = next + rows[i].tokens.size() - 1;
      const double* answer = next + set.rows[i].first - 1;
      const bool same = i > 0 && !set.documents.empty() && set.documents[i] == set.documents[i - 1];
      all.add(next, end, same);
      prompts.add(next, answer, same);
      answers.add(answer, end, same);
      next = end;
    }
    progress.batch_done(batch.tokens.elements());
  }
  Measured out;
  out.rows.push_back(all.measurement(set.role, "kl_from_base", "all tokens"));
  if (set.has_answers) {
    out.rows.push_back(prompts.measurement(set.role, "kl_from_base_prompt", "prompt"));
    out.rows.push_back(answers.measurement(set.role, "kl_from_base_answer", "answer"));
    out.note = "KL: prompts as above, each with its first accepted answer behind it";
  }
  if (set.cut > 0) out.note += fmt::format("; {} prompts cut from the left", set.cut);
  if (set.left_out > 0) out.note += fmt::format("; {} questions too long, left out", set.left_out);
  return out;
}

}  // namespace slotwise
