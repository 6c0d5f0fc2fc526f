#include "train/program.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>

#include "core/devices.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"
#include "kernels/attention_body.h"
#include "train/interrupt.h"

namespace slotwise {

void SettingsArguments::add_to(CLI::App& app, const std::string& sections) {
  std::string names;
  for (const std::string& name : Options::preset_names())
    names += (names.empty() ? "" : ", ") + name;
  auto* by_name = app.add_option("--preset", preset, "built-in settings: " + names);
  auto* by_file =
      app.add_option("--config", config,
                     "settings file (TOML)" + (sections.empty() ? "" : "; read here: " + sections));
  by_name->type_name("NAME")->excludes(by_file);
  by_file->type_name("FILE");
  app.add_option("--set", overrides,
                 "override one setting (repeatable), e.g. --set pretrain.steps=100")
      ->type_name("SECTION.KEY=VALUE")
      ->expected(1)
      ->take_all();
}

Options SettingsArguments::load(bool required) const {
  if (required && preset.empty() && config.empty()) {
    user_error("give settings with --preset NAME or --config FILE; see --help");
  }
  Options options;
  if (!preset.empty()) options = Options::from_preset(preset);
  if (!config.empty()) options = Options::from_file(config);
  for (const std::string& assignment : overrides) options.override_with(assignment);
  options.refuse_unknown_sections();
  return options;
}

void add_seed(CLI::App& app, std::uint64_t& seed, const std::string& description) {
  const auto whole = [](std::string& text) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end) return std::string();
    return fmt::format("a seed is a whole number from 0 to {}, got '{}'",
                       std::numeric_limits<std::uint64_t>::max(), text);
  };
  app.add_option("--seed", seed, description)
      ->capture_default_str()
      ->check(CLI::Validator(whole, ""));
}

void DeviceArgument::add_to(CLI::App& app) {
  app.add_option("--device", device, "auto (a GPU where there is one), cpu, cuda or cuda:N")
      ->capture_default_str();
  app.add_option("--attention", attention,
                 "on a GPU: composed, blocked, cudnn (bf16 only), or auto (cudnn where it can)")
      ->capture_default_str();
}

Device DeviceArgument::place(std::FILE* out, DType products) const {
  const kernels::AttentionChoice choice = kernels::attention_choice_of(attention);
  const Device found = find_device(device);
  if (choice && !found.is_cuda()) {
    user_error("--attention {} is a choice on CUDA devices, and this is {}; leave it out",
               attention, describe(found));
  }
  kernels::set_attention_choice(choice);
  // Asked in any case: it refuses a choice that cannot be met.
  const std::string body = found.is_cuda() ? kernels::describe_attention(products) : "";
  // Programs that answer on standard output stay silent about the device that every machine has.
  if (out == nullptr || (out != stdout && found.is_cpu())) return found;
  fmt::print(out, "device {}\n", describe(found));
  if (!body.empty()) fmt::print(out, "attention {}\n", body);
  return found;
}

void add_precision(CLI::App& app, std::string& precision) {
  app.add_option("--precision", precision,
                 "operands of matrix products: fp32, or bf16 with fp32 sums and weights")
      ->capture_default_str();
}

DType products_of(const std::string& precision) {
  if (precision == "fp32") return DType::f32;
  if (precision == "bf16") return DType::bf16;
  user_error("--precision must be fp32 or bf16, got '{}'", precision);
}

void RunArguments::add_to(CLI::App& app) {
  app.add_option("--out", run.out, "folder of this run; the same command resumes it")
      ->required()
      ->type_name("FOLDER");
  add_seed(app, seed);
  DeviceArgument::add_to(app);
  add_precision(app, precision);
  app.add_flag("--fresh", run.fresh, "throw away what an earlier run left in --out");
  app.add_flag("--quiet", run.quiet, "print errors only");
  app.add_flag("--memory-report", run.memory_report,
               "print what the last step held at its peak, by name, and its minimum");
  app.add_flag("--check-numerics", run.check_numerics,
               "stop at the first value that is not finite and name its op and layer (slow)");
  app.add_option("--profile-steps", run.profile_steps,
                 "record these steps with nsys or ncu (docs/profiling.md)")
      ->type_name("A:B");
  app.add_option("--stop-after", run.stop_after,
                 "save and stop after this many steps; the same command resumes")
      ->check(CLI::Range(1, 1 << 30).description(""));
  app.add_option("--threads", run.threads,
                 "CPU threads (default: as the run began, or else OMP_NUM_THREADS or all cores)")
      ->check(CLI::Range(1, 4096).description(""));
  ranks.add_to(app);
  app.add_option(
         "--shards", run.shards,
         "parts of a batch, summed in order (default: as the run began, or else one a rank)")
      ->check(CLI::Range(1, 1 << 16).description(""));
}

void RunArguments::join(const std::shared_ptr<Communicator>& group) {
  run.group = group;
  if (group->size() == 1) return;
  run.quiet = run.quiet || !group->is_root();
  run.memory_report = run.memory_report && group->is_root();
  device = device_of_rank(device_or_recorded(), *group);
  run.group = group_for(find_device(device), group, ranks.group_options());
}

std::string RunArguments::device_or_recorded() const {
  const std::filesystem::path settings = run.out / "run.json";
  if (device != "auto" || run.fresh || !std::filesystem::exists(settings)) return device;
  const auto before = nlohmann::json::parse(read_file(settings), nullptr, false);
  return before.is_object() ? before.value("device", "cpu") : device;
}

Device RunArguments::place() const {
  DeviceArgument wanted = *this;
  wanted.device = device_or_recorded();
  if (run.group->size() == 1) return wanted.place(run.quiet ? nullptr : stdout, product_type());
  const Device found = wanted.place(nullptr, product_type());
  const std::string table = rank_table(*run.group, describe(found));
  if (!run.quiet) fmt::print("{}", table);
  if (found.is_cuda() && !run.quiet) {
    fmt::print("attention {}\n", kernels::describe_attention(product_type()));
  }
  return found;
}

void add_examples(CLI::App& app, const std::string& examples) {
  app.footer("Examples:\n" + examples);
  app.get_formatter()->column_width(34);
}

int exit_code(RunEnd end) {
  return end == RunEnd::finished || !interrupted() ? 0 : 130;
}

namespace {

// Tells when text for standard output was lost (a full disk, a closed pipe).
bool output_lost(const char* name) {
  std::cout.flush();
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0 && std::cout.good()) return false;
  std::fprintf(stderr, "%s: cannot write to standard output%s%s; part of the text is lost\n", name,
               errno != 0 ? ": " : "", errno != 0 ? std::strerror(errno) : "");
  return true;
}

int run_body(const char* name, const std::function<int()>& body) {
  try {
    return body();
  } catch (...) {
    return report_failure(name);
  }
}

}  // namespace

int report_failure(const char* name) {
  try {
    throw;
  } catch (const Interrupted&) {
    std::fprintf(stderr, "%s: interrupted\n", name);
    return 130;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: out of memory on the host; use a smaller model or batch\n", name);
  } catch (const std::filesystem::filesystem_error& e) {
    std::fprintf(stderr, "%s: %s: %s\n", name, e.path1().c_str(), e.code().message().c_str());
  } catch (const std::exception& e) {
    // What fmt throws when it cannot print says less than output_lost() does.
    if (std::ferror(stdout) == 0) std::fprintf(stderr, "%s: %s\n", name, json_reason(e).c_str());
  }
  return 1;
}

namespace {

// An empty value is what a script's unset variable leaves: no option means anything by it.
void refuse_empty_values(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& value : option->results()) {
      if (!value.empty()) continue;
      throw CLI::ValidationError(option->get_name() + " has an empty value",
                                 "give one, or leave the option out");
    }
  }
  for (const CLI::App* verb : app.get_subcommands()) refuse_empty_values(*verb);
}

}  // namespace

int run_program(const char* name, CLI::App& app, int argc, char** argv,
                const std::function<int()>& body) {
  app.name(name);
  app.failure_message([name](const CLI::App*, const CLI::Error& e) {
    return fmt::format("{}: {}; see {} --help\n", name, e.what(), name);
  });
  int code = 0;
  try {
    app.parse(argc, argv);
    refuse_empty_values(app);
    catch_interrupts();
    code = run_body(name, body);
  } catch (const CLI::ParseError& e) {
    code = app.exit(e) == 0 ? 0 : 2;
  }
  return output_lost(name) && code == 0 ? 1 : code;
}

}  // namespace slotwise
