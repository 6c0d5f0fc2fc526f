// slotwise-generate: continues prompts.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fstream>

#include "layers/generation.h"
#include "train/checkpoint.h"
#include "train/program.h"

namespace slotwise {
namespace {

using Texts = std::vector<std::string>;

// Found before anything is generated: with thousands of prompts the last may come after hours.
TokenRows encode_prompts(const Texts& prompts, const Checkpoint& loaded, std::int64_t new_tokens) {
  const auto& bos = loaded.tokenizer->special().bos;
  const std::int64_t positions = loaded.model->config().decoder.max_position_embeddings;
  TokenRows out;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::vector<std::int32_t> row = loaded.tokenizer->encode(prompts[i]);
    if (bos) row.insert(row.begin(), *bos);
    if (row.empty()) {
      user_error("prompt {} of {} is empty, and this model has no token to begin with; remove it",
                 i + 1, prompts.size());
    }
    if (const auto length = static_cast<std::int64_t>(row.size());
        length + new_tokens - 1 > positions) {
      user_error(
          "prompt {} of {} has {} tokens, which with {} new ones do not fit into the model's {} "
          "positions; shorten it, or lower --max-new-tokens",
          i + 1, prompts.size(), length, new_tokens, positions);
    }
    out.push_back(std::move(row));
  }
  return out;
}

// Prints each batch as soon as it is there.
void print_continuations(const Checkpoint& loaded, const TokenRows& prompts,
                         GenerationOptions options, std::size_t batch) {
  for (std::size_t begin = 0; begin < prompts.size(); begin += batch) {
    const std::size_t end = std::min(prompts.size(), begin + batch);
    const TokenRows some(prompts.begin() + static_cast<std::ptrdiff_t>(begin),
                         prompts.begin() + static_cast<std::ptrdiff_t>(end));
    options.first_row = static_cast<std::int64_t>(begin);
    const TokenRows tokens =
        generate(loaded.model->decoder(), some, options, loaded.model->device());
    for (std::size_t i = 0; i < some.size(); ++i) {
      // Decoded together: a word-level tokenizer puts a space between prompt and continuation.
      std::vector<std::int32_t> all = some[i];
      all.insert(all.end(), tokens[i].begin(), tokens[i].end());
      fmt::print("{}\n", loaded.tokenizer->decode(all));
    }
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace slotwise

int main(int argc, char** argv) {
  CLI::App app{
      "Continues prompts with a trained model: greedy, or sampled when --temperature is above 0."};
  std::string checkpoint, file;
  std::vector<std::string> prompts;
  std::size_t batch = 32;
  slotwise::GenerationOptions options;
  slotwise::DeviceArgument device;
  std::string stop = "";
  app.add_option("--checkpoint", checkpoint, "model")->required()->type_name("FOLDER");
  app.add_option("--prompt", prompts, "text to continue (repeatable)");
  app.add_option("--prompts", file, "file with one prompt a line")->type_name("FILE");
  app.add_option("--batch", batch, "prompts at a time; the texts do not depend on it")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""));
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
    slotwise::print_continuations(
        loaded, slotwise::encode_prompts(prompts, loaded, options.max_new_tokens), options, batch);
    return 0;
  });
}
