// slotwise-generate: continues prompts.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fstream>

#include "layers/generation.h"
#include "train/checkpoint.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Continues prompts with a trained model: greedy, or sampled when --temperature is above 0."};
  std::string checkpoint, file;
  std::vector<std::string> prompts;
  slotwise::GenerationOptions options;
  slotwise::DeviceArgument device;
  std::string stop = "";
  app.add_option("--checkpoint", checkpoint, "model")->required()->type_name("FOLDER");
  app.add_option("--prompt", prompts, "text to continue (repeatable)");
  app.add_option("--prompts", file, "file with one prompt a line")->type_name("FILE");
  app.add_option("--max-new-tokens", options.max_new_tokens, "most tokens to add")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""));
  app.add_option("--temperature", options.temperature, "0: greedy")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6).description(""));
  app.add_option("--top-k", options.top_k, "sample among the k likeliest tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 30).description(""));
  app.add_option("--top-p", options.top_p,
                 "sample among the fewest tokens that hold this probability")
      ->capture_default_str()
      ->check(CLI::Range(1e-9, 1.0).description(""));
  slotwise::add_seed(app, options.seed, "seed of the sampling");
  app.add_option("--stop", stop, "token that ends a text besides the end-of-text token");
  device.add_to(app);
  slotwise::add_examples(app,
                         "  slotwise-generate --checkpoint out/pretrain/checkpoint --prompt 'where "
                         "was first3 last9 born ?' \\\n"
                         "      --max-new-tokens 2\n"
                         "  slotwise-generate --checkpoint model --prompts prompts.txt "
                         "--temperature 0.8 --top-p 0.95");
  return slotwise::run_program("slotwise-generate", app, argc, argv, [&] {
    if (!file.empty()) {
      std::ifstream lines(file);
      if (!lines) slotwise::user_error("cannot read {}", file);
      for (std::string line; std::getline(lines, line);) prompts.push_back(line);
    }
    if (prompts.empty())
      slotwise::user_error("nothing to continue: give --prompt TEXT or --prompts FILE");
    const slotwise::Checkpoint loaded = slotwise::load_checkpoint(checkpoint, device.place(stderr));
    const slotwise::Tokenizer& tokenizer = *loaded.tokenizer;
    options.vocabulary = tokenizer.vocabulary_size();
    if (tokenizer.special().eos) options.stop_tokens.push_back(*tokenizer.special().eos);
    if (!stop.empty()) {
      const auto id = tokenizer.token_id(stop);
      if (!id) slotwise::user_error("--stop '{}' is not a token of this model", stop);
      options.stop_tokens.push_back(*id);
    }
    std::vector<std::vector<std::int32_t>> encoded;
    for (const std::string& prompt : prompts) {
      encoded.push_back(tokenizer.encode(prompt));
      if (tokenizer.special().bos)
        encoded.back().insert(encoded.back().begin(), *tokenizer.special().bos);
    }
    const auto tokens =
        slotwise::generate(loaded.model->decoder(), encoded, options, loaded.model->device());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      // Decoded together: a word-level tokenizer puts a space between prompt and continuation.
      std::vector<std::int32_t> all = encoded[i];
      all.insert(all.end(), tokens[i].begin(), tokens[i].end());
      fmt::print("{}\n", tokenizer.decode(all));
    }
    return 0;
  });
}
