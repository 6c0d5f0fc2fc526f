// slotwise-evaluate: what a checkpoint knows.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/kl_from_base.h"
#include "train/program.h"

namespace slotwise {
namespace {

struct Arguments {
  std::string checkpoint, base, data, json_path;
  std::vector<std::string> questions, multiple_choice, likelihood;
  EvaluationOptions options;
  bool memory_off = false;
  std::int64_t show = 0;
  DeviceArgument device;

  void add_to(CLI::App& app);
};

void Arguments::add_to(CLI::App& app) {
  app.add_option("--checkpoint", checkpoint, "model to score")->required()->type_name("FOLDER");
  app.add_option("--base", base,
                 "the model before finetuning: also KL(base || checkpoint) on the questions' "
                 "prompts and answers and on the text")
      ->type_name("FOLDER");
  app.add_option("--data", data, "dataset folder: all its questions and its held-out text")
      ->type_name("FOLDER");
  app.add_option("--questions", questions,
                 "question files (JSONL, also .gz and .zst): exact match and F1 of the answers")
      ->type_name("[NAME=]FILE");
  app.add_option("--multiple-choice", multiple_choice,
                 "the same with \"choices\" and \"label\": accuracy by likelihood")
      ->type_name("[NAME=]FILE");
  app.add_option("--likelihood", likelihood,
                 "the same: likelihood of the answers, and of \"solution\" where there is one")
      ->type_name("[NAME=]FILE");
  app.add_option("--limit", options.limit, "the first questions of every set; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30).description(""));
  app.add_option("--max-new-tokens", options.max_new_tokens,
                 "most tokens of an answer; 0: those of the longest first one of the set")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20).description(""));
  app.add_option("--batch", options.batch, "prompts at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""));
  app.add_option("--text-rows", options.text_rows, "windows of held-out text; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30).description(""));
  app.add_flag("--memory-off", memory_off, "score with the memory's addition set to zero");
  app.add_option("--show", show, "print this many questions of each set with the model's answers")
      ->check(CLI::Range(0, 1 << 30).description(""));
  device.add_to(app);
  app.add_option("--json", json_path, "write the scores to this file, too")->type_name("FILE");
  app.add_flag("--quiet", options.quiet, "no progress lines");
  add_examples(
      app,
      "  slotwise-evaluate --checkpoint out/pretrain/checkpoint --data out/data\n"
      "  slotwise-evaluate --checkpoint out/pretrain/checkpoint --questions nq.jsonl.gz --show 5\n"
      "  slotwise-evaluate --checkpoint out/smf/checkpoint --limit 500 --json scores.json \\\n"
      "      --multiple-choice hellaswag=hellaswag.val.jsonl.gz --likelihood gsm8k=gsm8k.jsonl.gz "
      "\\\n"
      "      --questions simpleqa=simpleqa.heldout.jsonl.gz\n"
      "  slotwise-evaluate --checkpoint out/smf/checkpoint --base out/pretrain/checkpoint "
      "--data out/data");
}

// "NAME=FILE", or a file whose name without its endings is the set's.
std::pair<std::string, std::string> named_file(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0 && !std::filesystem::exists(text)) {
    return {text.substr(0, equals), text.substr(equals + 1)};
  }
  return {std::filesystem::path(text).stem().stem().string(), text};
}

// What is to be scored. The dataset outlives the evaluator that reads from it.
Evaluator make_evaluator(const Arguments& arguments, const Checkpoint& loaded,
                         std::unique_ptr<Dataset>& dataset) {
  Evaluator evaluator(*loaded.tokenizer, arguments.options,
                      loaded.model->config().decoder.max_position_embeddings);
  if (!arguments.data.empty()) {
    dataset = std::make_unique<Dataset>(arguments.data);
    if (dataset->manifest().tokenizer_hash != loaded.tokenizer->hash()) {
      user_error("{} was made with another tokenizer than the checkpoint {}", arguments.data,
                 arguments.checkpoint);
    }
    evaluator.add_dataset(*dataset);
  }
  const auto add = [&](const std::vector<std::string>& files, auto method) {
    for (const std::string& text : files) {
      const auto [name, file] = named_file(text);
      (evaluator.*method)(name, read_questions(file));
    }
  };
  add(arguments.questions, &Evaluator::add_questions);
  add(arguments.multiple_choice, &Evaluator::add_multiple_choice);
  add(arguments.likelihood, &Evaluator::add_likelihood);
  return evaluator;
}

void show_answers(const Evaluator& evaluator, MemoryModel& model, bool memory_off,
                  std::int64_t most) {
  if (most == 0) return;
  for (const QuestionSet& set : evaluator.sets()) {
    const auto answers = evaluator.answers(model, set, memory_off);
    fmt::print("{}\n", set.role);
    for (std::size_t i = 0; i < answers.size() && i < static_cast<std::size_t>(most); ++i) {
      fmt::print("  {}  ->  {}   (accepted: {})\n", set.questions[i].text, answers[i],
                 set.questions[i].answers.front());
    }
  }
}

// Of the sets whose answers were asked for, and of the text.
std::vector<Measured> measure_kl_from_base(const Arguments& arguments, const Checkpoint& loaded,
                                           const Evaluator& evaluator) {
  const Checkpoint base = load_checkpoint(arguments.base, loaded.model->device());
  if (base.tokenizer->hash() != loaded.tokenizer->hash()) {
    user_error("--base {} has another tokenizer than the checkpoint {}", arguments.base,
               arguments.checkpoint);
  }
  const std::int64_t positions = std::min(base.model->config().decoder.max_position_embeddings,
                                          loaded.model->config().decoder.max_position_embeddings);
  std::vector<KlSet> sets;
  for (const QuestionSet& set : evaluator.sets()) {
    sets.push_back(kl_questions(set, *loaded.tokenizer, positions));
  }
  if (!evaluator.text().empty())
    sets.push_back(kl_text("held-out text", evaluator.text(), evaluator.text_documents()));
  if (sets.empty()) {
    user_error(
        "--base: there are no prompts and no text to compare the models on; give --data or "
        "--questions");
  }
  std::vector<Measured> out;
  for (const KlSet& set : sets) {
    out.push_back(measure_kl(*base.model, *loaded.model, set, arguments.options.quiet));
  }
  return out;
}

int evaluate(const Arguments& arguments) {
  if (arguments.data.empty() && arguments.questions.empty() && arguments.multiple_choice.empty() &&
      arguments.likelihood.empty()) {
    user_error(
        "nothing to score: give --data FOLDER, --questions FILE, --multiple-choice FILE or "
        "--likelihood FILE");
  }
  if (!arguments.base.empty() && arguments.memory_off) {
    user_error("--base compares the models with their memory on; leave out --memory-off");
  }
  if (!arguments.json_path.empty()) expect_writable(arguments.json_path);
  const Checkpoint loaded = load_checkpoint(arguments.checkpoint, arguments.device.place(stderr));
  if (arguments.memory_off && !loaded.model->config().memory.present()) {
    user_error("--memory-off: {} has no memory layer", arguments.checkpoint);
  }
  std::unique_ptr<Dataset> dataset;
  const Evaluator evaluator = make_evaluator(arguments, loaded, dataset);
  show_answers(evaluator, *loaded.model, arguments.memory_off, arguments.show);
  const Evaluator::Result result = evaluator.run(*loaded.model, arguments.memory_off);
  std::vector<Measured> measured = result.measured();
  if (!arguments.base.empty()) {
    const auto kl = measure_kl_from_base(arguments, loaded, evaluator);
    measured.insert(measured.end(), kl.begin(), kl.end());
  }
  // Printed first: a file that cannot be written any more costs no result.
  fmt::print("{}", measured_text(measured));
  std::fflush(stdout);
  if (!arguments.json_path.empty()) {
    nlohmann::json out = result.json();
    out["measurements"] = measured_json(measured);
    write_file_atomically(arguments.json_path, out.dump(2) + "\n");
  }
  return 0;
}

}  // namespace
}  // namespace slotwise

int main(int argc, char** argv) {
  CLI::App app{
      "Scores a checkpoint: exact match and F1 of its answers (SQuAD and TriviaQA normalisation), "
      "multiple choice\n"
      "and answers by likelihood, and the loss on held-out text, each with its 95 % confidence "
      "interval.\n"
      "Prompts are taken as they are where a row has a field \"prompt\"; a "
      "\"question\" is asked as\n"
      "\"Question: ...\\nAnswer:\". Answers are greedy and end at a line break or the end-of-text "
      "token."};
  slotwise::Arguments arguments;
  arguments.options.intervals = true;
  arguments.options.quiet = false;
  arguments.add_to(app);
  return slotwise::run_program("slotwise-evaluate", app, argc, argv,
                               [&] { return slotwise::evaluate(arguments); });
}
