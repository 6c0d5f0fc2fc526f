// slotwise-background: counts in how many batches of the pretraining data each memory slot is read.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/background_run.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Measures the background of TF-IDF: for each memory slot, the number of pretraining batches "
      "that read it.\n"
      "Written into the checkpoint as background.safetensors. The shape of a batch matters: a "
      "large one touches\n"
      "most slots and flattens the ranking; the histogram printed at the end shows it."};
  slotwise::SettingsArguments settings;
  slotwise::BackgroundRequest request;
  slotwise::DeviceArgument device;
  app.add_option("--checkpoint", request.checkpoint, "pretrained model")
      ->required()
      ->type_name("FOLDER");
  app.add_option("--data", request.data, "dataset folder it was pretrained on")
      ->required()
      ->type_name("FOLDER");
  settings.add_to(app, "[background]");
  slotwise::add_seed(app, request.seed, "seed of the choice of batches");
  device.add_to(app);
  app.add_flag("--quiet", request.quiet, "print errors only");
  app.add_flag("--fresh", request.fresh, "measure again although the checkpoint has a background");
  slotwise::add_examples(app,
                         "  slotwise-background --preset biographies --checkpoint "
                         "out/pretrain/checkpoint --data out/data\n"
                         "  slotwise-background --preset biographies --set background.batch=1 "
                         "--checkpoint ... --data ...");
  return slotwise::run_program("slotwise-background", app, argc, argv, [&] {
    request.options = settings.load();
    request.device = device.place(request.quiet ? nullptr : stdout);
    return slotwise::exit_code(slotwise::measure_background(request));
  });
}
