#include "train/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace slotwise {
namespace {

using nlohmann::json;

// The number of the fact that a question is about; -1: of none.
std::int64_t fact_of(const std::map<std::string, std::int64_t>& facts, std::string id) {
  while (true) {
    const auto found = facts.find(id);
    if (found != facts.end()) return found->second;
    const std::size_t slash = id.rfind('/');
    if (slash == std::string::npos) return -1;
    id.resize(slash);
  }
}

json number_or_null(const std::optional<double>& value) {
  return value ? json(*value) : json(nullptr);
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f}", 100 * *value) : "-";
}

}  // namespace

std::int64_t RetentionPlan::taught() const {
  return std::count_if(groups.begin(), groups.end(),
                       [](const Group& group) { return group.last_step > 0; });
}

RetentionPlan plan_retention(const FactStream& stream, std::int64_t steps, std::int64_t every,
                             const std::vector<Question>& questions, const std::string& role) {
  const std::int64_t first_pass = std::min(steps, stream.batches_per_epoch());
  const std::int64_t taught = (first_pass + every - 1) / every;
  RetentionPlan plan;
  plan.groups.resize(static_cast<std::size_t>(taught));
  plan.asked_after = {0};
  for (std::int64_t g = 0; g < taught; ++g) {
    RetentionPlan::Group& group = plan.groups[static_cast<std::size_t>(g)];
    group.first_step = g * every;
    group.last_step = std::min((g + 1) * every, first_pass);
    plan.asked_after.push_back(group.last_step);
  }
  if (steps > first_pass) plan.asked_after.push_back(steps);
  // Facts that no step teaches come last.
  std::vector<std::int64_t> group_of_fact(static_cast<std::size_t>(stream.facts()), taught);
  for (std::int64_t step = 0; step < first_pass; ++step) {
    for (const std::int64_t fact : stream.facts_of_batch(step)) {
      group_of_fact[static_cast<std::size_t>(fact)] = step / every;
    }
  }
  if (first_pass < stream.batches_per_epoch()) plan.groups.emplace_back();
  std::map<std::string, std::int64_t> facts;
  for (std::int64_t fact = 0; fact < stream.facts(); ++fact) {
    facts[stream.id(fact)] = fact;
    ++plan.groups[static_cast<std::size_t>(group_of_fact[static_cast<std::size_t>(fact)])].facts;
  }
  bool any = false;
  for (const Question& question : questions) {
    const std::int64_t fact = fact_of(facts, question.id);
    plan.group_of.push_back(fact < 0 ? -1 : group_of_fact[static_cast<std::size_t>(fact)]);
    if (fact < 0) continue;
    ++plan.groups[static_cast<std::size_t>(plan.group_of.back())].questions;
    any = true;
  }
  if (!any) {
    user_error(
        "finetune.retention_every: no question of '{}' belongs to a fact of the stream; the id of "
        "a question must begin with that of its fact, as \"{}/1\"",
        role, stream.id(0));
  }
  return plan;
}

RetentionMatrix::RetentionMatrix(RetentionPlan plan, std::string role, AnswerMeasure measure)
    : plan_(std::move(plan)), role_(std::move(role)), measure_(measure) {}

bool RetentionMatrix::due(std::int64_t step) const {
  const auto& asked = plan_.asked_after;
  return std::find(asked.begin(), asked.end(), step) != asked.end() &&
         (rows_.empty() || rows_.back().step < step);
}

void RetentionMatrix::add(std::int64_t step, const std::vector<double>& scores) {
  SLOTWISE_CHECK(scores.size() == plan_.group_of.size(), "[retention] expected {} scores, got {}",
                 plan_.group_of.size(), scores.size());
  std::vector<double> sums(plan_.groups.size(), 0);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (plan_.group_of[i] >= 0) sums[static_cast<std::size_t>(plan_.group_of[i])] += scores[i];
  }
  Asked row{step, {}};
  for (std::size_t g = 0; g < sums.size(); ++g) {
    const std::int64_t questions = plan_.groups[g].questions;
    row.scores.push_back(questions > 0 ? std::optional(sums[g] / static_cast<double>(questions))
                                       : std::nullopt);
  }
  rows_.push_back(std::move(row));
}

std::optional<std::size_t> RetentionMatrix::own_row(std::size_t group) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const Asked& row) {
    return row.step > 0 && row.step == plan_.groups[group].last_step;
  });
  if (found == rows_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - rows_.begin());
}

template <class Compare>
std::optional<double> RetentionMatrix::mean_of_earlier(std::size_t row, Compare&& compare) const {
  double sum = 0, count = 0;
  for (std::size_t group = 0; group < plan_.groups.size(); ++group) {
    const auto own = own_row(group);
    if (!own || *own >= row || !rows_[*own].scores[group]) continue;
    const std::optional<double> value =
        compare(*rows_[row].scores[group], *rows_[*own].scores[group]);
    if (!value) continue;
    sum += *value;
    count += 1;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::optional<double> RetentionMatrix::retention(std::size_t row) const {
  return mean_of_earlier(row, [](double now, double then) {
    return then > 0 ? std::optional(now / then) : std::nullopt;
  });
}

std::optional<double> RetentionMatrix::backward_transfer(std::size_t row) const {
  return mean_of_earlier(row, [](double now, double then) { return std::optional(now - then); });
}

json RetentionMatrix::rows_json() const {
  json out = json::array();
  for (const Asked& row : rows_) {
    json scores = json::array();
    for (const auto& score : row.scores) scores.push_back(number_or_null(score));
    out.push_back({{"step", row.step}, {"scores", scores}});
  }
  return out;
}

void RetentionMatrix::load_rows(const json& rows) {
  rows_.clear();
  for (const json& row : rows) {
    Asked& asked = rows_.emplace_back();
    asked.step = row.at("step").get<std::int64_t>();
    for (const json& score : row.at("scores")) {
      asked.scores.push_back(score.is_null() ? std::nullopt : std::optional(score.get<double>()));
    }
  }
}

json RetentionMatrix::json_result() const {
  json groups = json::array(), rows = rows_json();
  for (const RetentionPlan::Group& group : plan_.groups) {
    groups.push_back({{"first_step", group.first_step},
                      {"last_step", group.last_step},
                      {"facts", group.facts},
                      {"questions", group.questions},
                      {"taught", group.last_step > 0}});
  }
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows[i]["retention"] = number_or_null(retention(i));
    rows[i]["backward_transfer"] = number_or_null(backward_transfer(i));
  }
  const std::size_t last = rows_.empty() ? 0 : rows_.size() - 1;
  return {{"questions", role_},
          {"measure", key_of(measure_)},
          {"groups", groups},
          {"rows", rows},
          {"mean_retention", rows_.empty() ? json(nullptr) : number_or_null(retention(last))},
          {"backward_transfer",
           rows_.empty() ? json(nullptr) : number_or_null(backward_transfer(last))}};
}

std::string RetentionMatrix::text() const {
  const auto unmatched = std::count(plan_.group_of.begin(), plan_.group_of.end(), -1);
  std::string out = fmt::format(
      "Facts taught earlier in the stream: {} on '{}', %; a column a group of facts, by the last "
      "step "
      "that taught it{}\n{:>10}",
      name_of(measure_), role_,
      unmatched > 0 ? fmt::format("; {} questions of no fact left out", unmatched) : "",
      "after step");
  for (const RetentionPlan::Group& group : plan_.groups) {
    out += fmt::format("{:>8}", group.last_step > 0 ? fmt::format("{}", group.last_step) : "never");
  }
  out += fmt::format("{:>11}{:>10}\n", "retained", "transfer");
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    out += fmt::format("{:>10}", rows_[i].step);
    for (const auto& score : rows_[i].scores) out += fmt::format("{:>8}", percent(score));
    out += fmt::format("{:>11}{:>10}\n", percent(retention(i)), percent(backward_transfer(i)));
  }
  out += "retained: mean over the groups taught before of what is left of their score after their ";
  out += "own steps; transfer: the mean difference, points\n";
  return out;
}

}  // namespace slotwise
