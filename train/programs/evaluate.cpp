// slotwise-evaluate: what a checkpoint knows.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/program.h"

namespace slotwise {
namespace {

struct Arguments {
  std::string checkpoint, data, json_path;
  std::vector<std::string> questions;
  EvaluationOptions options;
  bool memory_off = false;
  std::int64_t show = 0;
  DeviceArgument device;

  void add_to(CLI::App& app);
};

void Arguments::add_to(CLI::App& app) {
  app.add_option("--checkpoint", checkpoint, "model to score")->required()->type_name("FOLDER");
  app.add_option("--data", data, "dataset folder: all its questions and its held-out text")
      ->type_name("FOLDER");
  app.add_option("--questions", questions, "question files (JSONL, also .gz and .zst)")
      ->type_name("FILE");
  app.add_option("--max-new-tokens", options.max_new_tokens,
                 "length of an answer; 0: that of the longest accepted one")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20).description(""));
  app.add_option("--batch", options.batch, "prompts at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""));
  app.add_option("--text-rows", options.text_rows, "rows of held-out text; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30).description(""));
  app.add_flag("--memory-off", memory_off, "score with the memory's addition set to zero");
  app.add_option("--show", show, "print this many questions of each set with the model's answers");
  device.add_to(app);
  app.add_option("--json", json_path, "write the scores to this file, too")->type_name("FILE");
  add_examples(
      app,
      "  slotwise-evaluate --checkpoint out/pretrain/checkpoint --data out/data\n"
      "  slotwise-evaluate --checkpoint out/pretrain/checkpoint --questions nq.jsonl.gz --show 5");
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
  for (const std::string& file : arguments.questions) {
    evaluator.add_questions(std::filesystem::path(file).stem().stem().string(),
                            read_questions(file));
  }
  return evaluator;
}

void show_answers(const Evaluator& evaluator, MemoryModel& model, std::int64_t most) {
  if (most <= 0) return;
  for (const QuestionSet& set : evaluator.sets()) {
    const auto answers = evaluator.answers(model, set);
    fmt::print("{}\n", set.role);
    for (std::size_t i = 0; i < answers.size() && i < static_cast<std::size_t>(most); ++i) {
      fmt::print("  {}  ->  {}   (accepted: {})\n", set.questions[i].text, answers[i],
                 set.questions[i].answers.front());
    }
  }
}

int evaluate(const Arguments& arguments) {
  if (arguments.data.empty() && arguments.questions.empty()) {
    user_error("nothing to score: give --data FOLDER or --questions FILE");
  }
  const Checkpoint loaded = load_checkpoint(arguments.checkpoint, arguments.device.place(stderr));
  if (arguments.memory_off && !loaded.model->config().memory.present()) {
    user_error("--memory-off: {} has no memory layer", arguments.checkpoint);
  }
  std::unique_ptr<Dataset> dataset;
  const Evaluator evaluator = make_evaluator(arguments, loaded, dataset);
  show_answers(evaluator, *loaded.model, arguments.show);
  const Evaluator::Result result = evaluator.run(*loaded.model, arguments.memory_off);
  if (!arguments.json_path.empty()) {
    write_file_atomically(arguments.json_path, result.json().dump(2) + "\n");
  }
  fmt::print("{}", result.text());
  return 0;
}

}  // namespace
}  // namespace slotwise

int main(int argc, char** argv) {
  CLI::App app{
      "Scores a checkpoint: exact match and F1 of its answers (SQuAD and TriviaQA normalisation) "
      "and the loss on\n"
      "held-out text. Prompts are taken as they are where a row has a field \"prompt\"; a "
      "\"question\" is asked as\n"
      "\"Question: ...\\nAnswer:\". Answers are greedy and end at a line break or the end-of-text "
      "token."};
  slotwise::Arguments arguments;
  arguments.add_to(app);
  return slotwise::run_program("slotwise-evaluate", app, argc, argv,
                               [&] { return slotwise::evaluate(arguments); });
}
