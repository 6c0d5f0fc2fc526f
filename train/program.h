// What all programs share: errors as one sentence on stderr and exit code 1, usage errors 2,
// interrupted 130; the options --preset, --config and --set; the device.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "train/options.h"
#include "train/ranks.h"
#include "train/run_folder.h"

namespace CLI {
class App;
}

namespace slotwise {

struct SettingsArguments {
  std::string preset, config;
  std::vector<std::string> overrides;

  // `sections`: those of the settings that this program reads, for its --help.
  void add_to(CLI::App& app, const std::string& sections = "");
  // The settings that were asked for; `required`: one of --preset and --config must be there.
  Options load(bool required = true) const;
};

// --seed: any whole number of 64 bits.
void add_seed(CLI::App& app, std::uint64_t& seed,
              const std::string& description = "seed of every random choice");

// --device: auto, cpu, cuda, cuda:N. --attention: auto, composed, blocked, cudnn, the body of
// attention on a CUDA device (kernels/attention_body.h), set for the whole program.
struct DeviceArgument {
  std::string device = "auto";
  std::string attention = "auto";

  void add_to(CLI::App& app);
  // The device, named on `out` first (null: in silence), on CUDA with the body of attention that
  // such products take. UserError when either cannot be had.
  Device place(std::FILE* out, DType products = DType::f32) const;
};

// --precision fp32|bf16.
void add_precision(CLI::App& app, std::string& precision);
DType products_of(const std::string& precision);  // UserError when it is neither

struct RunArguments : DeviceArgument {
  RunRequest run;
  std::uint64_t seed = 0;
  std::string precision = "fp32";
  RankArguments ranks;

  void add_to(CLI::App& app);
  // With auto a run that is resumed stays on the kind of device with which it began: another one
  // would change its numbers.
  Device place() const;
  DType product_type() const { return products_of(precision); }
  // Makes this process a rank, on a device of its own: the root alone prints, and says first who
  // runs where.
  void join(const std::shared_ptr<Communicator>& group);

 private:
  std::string device_or_recorded() const;
};

// Runs the body and turns exceptions into messages and exit codes. The body returns the exit code.
// Text that standard output did not take makes a success a failure.
int run_program(const char* name, CLI::App& app, int argc, char** argv,
                const std::function<int()>& body);
int exit_code(RunEnd end);
// Prints the exception that is being handled, as run_program() does, and returns the exit code.
int report_failure(const char* name);

// Raw text of a program's examples, shown under its --help.
void add_examples(CLI::App& app, const std::string& examples);

}  // namespace slotwise
