// slotwise-evaluate and the measures of a finetuning run, as a person calls them, on the tiny
// world.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/files.h"
#include "core/memory_pool.h"
#include "data/questions.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"
#include "train/checkpoint.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<Question> new_questions() {
  return read_questions(tiny_world().data / "questions_new.jsonl");
}

// The questions of the tiny world with the answers of all of them as choices.
std::string choice_rows(std::size_t copies) {
  std::vector<std::string> choices;
  for (const Question& question : new_questions()) {
    if (std::find(choices.begin(), choices.end(), question.answers[0]) == choices.end()) {
      choices.push_back(question.answers[0]);
    }
  }
  std::string out;
  for (std::size_t copy = 0; copy < copies; ++copy) {
    for (const Question& question : new_questions()) {
      out += json({{"prompt", question.text}, {"answers", question.answers}, {"choices", choices}})
                 .dump() +
             "\n";
    }
  }
  return out;
}

const json& measurement(const json& scores, const std::string& set, const std::string& measure) {
  for (const json& each : scores.at("measurements")) {
    if (each.at("set") == set && each.at("measure") == measure) return each;
  }
  ADD_FAILURE() << "no " << measure << " of " << set;
  static const json none;
  return none;
}

TEST(LoadCheckpoint, KeepsNoCopyOfTheFile) {
  const Checkpoint loaded = load_checkpoint(tiny_world().checkpoint, {});
  EXPECT_EQ(MemoryPool::of({}).report().cached_bytes, 0u);
}

TEST(EvaluateProgram, MeasuresEveryKindAndWritesItAll) {
  const TemporaryFolder folder;
  const fs::path choices = folder.write("choices.jsonl", choice_rows(1)), out = folder / "s.json";
  const Finished done = run_well(
      "evaluate", {"--checkpoint", tiny_world().checkpoint, "--base", tiny_world().checkpoint,
                   "--data", tiny_world().data, "--multiple-choice", "mc=" + choices.string(),
                   "--likelihood", choices, "--limit", "5", "--json", out});
  const json scores = json::parse(read_file(out));
  const json& accuracy = measurement(scores, "mc", "accuracy");
  EXPECT_EQ(accuracy.at("count"), 5);
  EXPECT_LE(accuracy.at("low"), accuracy.at("value"));
  EXPECT_GE(accuracy.at("high"), accuracy.at("value"));
  EXPECT_TRUE(measurement(scores, "mc", "random_guess").at("low").is_null());
  EXPECT_EQ(measurement(scores, "choices", "answer_nll_per_question").at("count"), 5);
  EXPECT_EQ(scores.at("likelihoods").at("mc").at("accuracy"), accuracy.at("value"));
  EXPECT_EQ(measurement(scores, "new", "exact").at("count"), 5);
  EXPECT_FALSE(measurement(scores, "new", "f1").at("low").is_null());
  EXPECT_GT(measurement(scores, "held-out text", "loss").at("low"), 0);
  EXPECT_EQ(scores.at("text_rows"), 16);
  EXPECT_EQ(scores.at("text_rows_there"), 16);
  EXPECT_TRUE(contains(done.out, "held-out text: all 16 rows\n")) << done.out;
  EXPECT_EQ(measurement(scores, "new", "kl_from_base").at("value"), 0) << "the same model";
  EXPECT_EQ(measurement(scores, "held-out text", "kl_from_base").at("value"), 0);
  for (const char* part : {"95 % interval", "acc_norm", "TriviaQA normalisation",
                           "prompt:", "KL(base || finetuned)"}) {
    EXPECT_TRUE(contains(done.out, part)) << part;
  }
}

TEST(EvaluateProgram, ASetWithChoicesIsMultipleChoiceUnlessASweepComparesIt) {
  const TemporaryFolder folder;
  const fs::path data = folder / "data", run = folder / "run";
  fs::copy(tiny_world().data, data);
  json manifest = json::parse(read_file(data / "dataset.json"));
  manifest["questions"]["picked"] = "picked.jsonl";
  write_file_atomically(data / "dataset.json", manifest.dump());
  write_file_atomically(data / "picked.jsonl", choice_rows(1));
  TinyWorld world = tiny_world();
  world.data = data;
  const Finished done = run_well("finetune", world.finetune(run, "smf"));
  EXPECT_TRUE(contains(done.out, "  picked 0.")) << done.out;
  const json last = json::parse(read_file(run / "result.json")).at("evaluations").back();
  EXPECT_FALSE(last.at("questions").contains("picked"));
  EXPECT_TRUE(last.at("likelihoods").at("picked").contains("accuracy_per_character"));

  const fs::path second = folder / "second";
  run_well("finetune", world.finetune(second, "smf") + Words{"--set", "evaluate.target=picked"});
  const json asked = json::parse(read_file(second / "result.json")).at("evaluations").back();
  EXPECT_TRUE(asked.at("questions").contains("picked"));
  EXPECT_FALSE(asked.contains("likelihoods"));
}

TEST(EvaluateProgram, KlGrowsWithFinetuning) {
  const TemporaryFolder folder;
  const fs::path run = folder / "run", out = folder / "s.json";
  run_well("finetune", tiny_world().finetune(run, "full"));
  run_well("evaluate", {"--checkpoint", run / "checkpoint", "--base", tiny_world().checkpoint,
                        "--data", tiny_world().data, "--json", out, "--quiet"});
  const json scores = json::parse(read_file(out));
  EXPECT_GT(measurement(scores, "new", "kl_from_base").at("low"), 0);
}

// The settings evaluate 8 of 16 rows in training; both programs say so, and agree over the same.
TEST(EvaluateProgram, SaysOverHowMuchTextTheLossIs) {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  const Finished tuned = run_well("finetune", tiny_world().finetune(run, "full"));
  const json last = json::parse(read_file(run / "result.json")).at("evaluations").back();
  EXPECT_EQ(last.at("text_rows"), 8);
  EXPECT_EQ(last.at("text_rows_there"), 16);
  const auto tokens = last.at("text_tokens").get<std::int64_t>();
  const std::string said = fmt::format(" over {} tokens (8 of 16 rows)\n", tokens);
  EXPECT_TRUE(contains(tuned.out, said)) << said << tuned.out;
  const auto evaluated = [&](const Words& more) {
    const fs::path out = folder / "s.json";
    const Words words = {"--checkpoint", run / "checkpoint",
                         "--data",       tiny_world().data,
                         "--batch",      "8",
                         "--json",       out};
    const Finished done = run_well("evaluate", words + more);
    return std::pair(json::parse(read_file(out)), done.out);
  };
  const auto [some, some_text] = evaluated({"--text-rows", "8"});
  EXPECT_EQ(some.at("text_tokens"), tokens);
  EXPECT_NEAR(some.at("text_loss").get<double>(), last.at("text_loss").get<double>(), 1e-6);
  EXPECT_TRUE(contains(some_text, "held-out text: 8 of 16 rows\n")) << some_text;
  EXPECT_GT(evaluated({}).first.at("text_tokens"), tokens);
}

TEST(EvaluateProgram, AnInterruptStopsItBetweenBatches) {
  const TemporaryFolder folder;
  const fs::path choices = folder.write("choices.jsonl", choice_rows(4000));
  const auto start = std::chrono::steady_clock::now();
  RunningProgram running(
      "evaluate", {"--checkpoint", tiny_world().checkpoint, "--questions", choices, "--batch", "4",
                   "--max-new-tokens", "8", "--json", folder / "scores.json"});
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  ASSERT_FALSE(running.ended()) << "it was to be stopped in mid-run";
  running.interrupt();
  const Finished done = running.wait();
  EXPECT_EQ(done.code, 130);
  EXPECT_EQ(done.error, "slotwise-evaluate: interrupted\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(folder.files(), 1) << "there is nothing to resume, and nothing is left";
}

TEST(FinetuneRetention, IsMeasuredAndResumes) {
  const TemporaryFolder folder;
  const auto words = [&](const char* name) {
    return tiny_world().finetune(folder / name, "smf") +
           Words{"--set", "finetune.retention_every=3",
                 "--set", "finetune.order=sequential",
                 "--set", "finetune.facts=1"};
  };
  const Finished done = run_well("finetune", words("straight"));
  run_well("finetune", words("parts") + Words{"--stop-after", "7"});
  run_well("finetune", words("parts"));
  const json straight = json::parse(read_file(folder / "straight/result.json")).at("retention");
  EXPECT_EQ(json::parse(read_file(folder / "parts/result.json")).at("retention"), straight);

  const std::size_t facts = straight.at("groups").size();
  ASSERT_GE(facts, 2u);
  EXPECT_EQ(straight.at("groups")[0].at("facts"), 3);
  EXPECT_EQ(straight.at("questions"), "new");
  EXPECT_EQ(straight.at("rows").front().at("step"), 0);
  EXPECT_EQ(straight.at("rows").back().at("step"), 20);
  std::int64_t questions = 0;
  for (const json& group : straight.at("groups")) {
    questions += group.at("questions").get<std::int64_t>();
  }
  EXPECT_EQ(questions, static_cast<std::int64_t>(new_questions().size()));
  EXPECT_TRUE(contains(done.out, "Facts taught earlier in the stream")) << done.out;
}

}  // namespace
}  // namespace slotwise::testing
