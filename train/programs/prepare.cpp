// slotwise-prepare: makes a dataset folder.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/prepare_run.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Makes a dataset folder: tokenizer, token shards, facts and questions. What is made is said "
      "by the [data]\n"
      "section of the settings: kind = \"biographies\" (an invented world), kind = \"wordnet\" "
      "(nouns of WordNet,\n"
      "from the package wordnet-base) or kind = \"text\" (JSONL files of texts and of questions)."};
  slotwise::SettingsArguments settings;
  slotwise::PrepareRequest request;
  app.add_option("--out", request.out, "dataset folder to make")->required()->type_name("FOLDER");
  settings.add_to(app, "[data]");
  slotwise::add_seed(app, request.seed, "seed of every random choice");
  app.add_flag("--fresh", request.fresh, "make it again although it is there");
  app.add_flag("--quiet", request.quiet, "print errors only");
  slotwise::add_examples(
      app,
      "  slotwise-prepare --preset biographies --seed 0 --out out/data\n"
      "  slotwise-prepare --config text.toml --out out/data       # [data] kind = \"text\"\n"
      "  slotwise-prepare --preset wordnet --set data.wordnet=/usr/share/wordnet --out out/wn\n"
      "  slotwise-prepare --preset biographies --set data.old_people=64 --out out/small");
  return slotwise::run_program("slotwise-prepare", app, argc, argv, [&] {
    request.options = settings.load();
    slotwise::prepare(request);
    return 0;
  });
}
