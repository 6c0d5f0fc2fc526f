// slotwise-pretrain: a new model from a dataset folder.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/pretrain_run.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Pretrains a model (with memory layers where the settings ask for them) on a dataset."};
  slotwise::SettingsArguments settings;
  slotwise::RunArguments run;
  std::string data;
  app.add_option("--data", data, "dataset folder made by slotwise-prepare")
      ->required()
      ->type_name("FOLDER");
  settings.add_to(app, "[model] [memory] [pretrain] [evaluate]");
  run.add_to(app);
  slotwise::add_examples(
      app,
      "  slotwise-pretrain --preset biographies --data out/data --out out/pretrain\n"
      "  slotwise-pretrain --config my.toml --set pretrain.steps=100 --data out/data --out "
      "out/short\n"
      "  slotwise-pretrain --preset biographies --data out/data --out out/pretrain --ranks 4");
  const char* name = "slotwise-pretrain";
  return slotwise::run_program(name, app, argc, argv, [&] {
    const auto train = [&](const auto& group) {
      run.join(group);
      return slotwise::exit_code(slotwise::pretrain({.run = run.run,
                                                     .options = settings.load(),
                                                     .data = data,
                                                     .seed = run.seed,
                                                     .device = run.place(),
                                                     .product_type = run.product_type()}));
    };
    const auto expect = [&](int ranks) {
      const std::int64_t rows = settings.load().count("pretrain.batch", 1);
      slotwise::expect_rows_for_shards(rows, slotwise::shards_of_run(run.run, ranks));
    };
    return slotwise::run_ranks(name, run.ranks, argc, argv, train, expect);
  });
}
