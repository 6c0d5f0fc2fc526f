// Attention, cuDNN body. cuDNN's fused attention takes half types, so q, k, v and the gradient are
// copied to bf16 (the pool's scratch) and results back to fp32: four to eight bytes an element
// moved, little beside the products of rows of some hundred tokens. Plans are built once a shape
// and kept. cuDNN wants its statistics (the log of the sum of exponentials) as [B, H, T]. The only
// file that includes the frontend headers, which take most of a minute to compile. libcudnn is
// opened when first asked for, so programs start without it.
#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>

#include "core/cuda_stream.h"
#include "core/devices_bodies.h"
#include "kernels/attention_body.h"
#include "kernels/cuda/attention_bodies.h"
#include "kernels/cuda/head_layout.h"
#include "kernels/elementwise.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // where the frontend looks its functions up
}

namespace slotwise::kernels::cuda {
namespace {

namespace frontend = cudnn_frontend;
using frontend::graph::Graph;
using frontend::graph::Tensor_attributes;

constexpr std::size_t kOldestVersion = 90500;
constexpr std::size_t kMostPlans = 1024;  // then all are let go, and those in use come back

// By soname when the machine knows it, else where the build found it; null when it is nowhere.
void* open_library(const char* name, const char* path) {
  void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  return library != nullptr ? library : dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

CudnnStatus load() {
  // The frontend opens the CUDA runtime by name, the oldest that it finds: it must be the one whose
  // structures this file was compiled with. Opened here by path, it is found by that name.
  setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", SLOTWISE_CUDART_NAME, 0);
  if (open_library(SLOTWISE_CUDART_NAME, SLOTWISE_CUDART_PATH) == nullptr) {
    return {false, fmt::format("{} cannot be loaded; name its folder in LD_LIBRARY_PATH",
                               SLOTWISE_CUDART_NAME)};
  }
  frontend::cudnn_dlhandle = open_library("libcudnn.so.9", SLOTWISE_CUDNN_PATH);
  if (frontend::cudnn_dlhandle == nullptr) {
    return {false,
            "libcudnn.so.9 cannot be loaded; install cuDNN or name its folder in "
            "LD_LIBRARY_PATH"};
  }
  const std::size_t version = frontend::detail::get_backend_version();
  if (version < kOldestVersion) {
    return {false, fmt::format("cuDNN 9.5 or newer is needed, found {}", version)};
  }
  // Their deterministic backward is refused by the frontend, when the forward has run already.
  if (version == 91000 || version == 91001) {
    return {false, "cuDNN 9.10.0 and 9.10.1 have no usable backward; install 9.10.2 or newer"};
  }
  for (int device = 0; device < slotwise::cuda::device_count(); ++device) {
    if (slotwise::cuda::device_facts(device).capability / 10 == 10 && version < 91800) {
      return {false, fmt::format("this GPU needs cuDNN 9.18 or newer, found {}", version)};
    }
  }
  return {true, fmt::format("cuDNN {}.{}.{}, frontend {}.{}.{}", version / 10000,
                            version / 100 % 100, version % 100, CUDNN_FRONTEND_MAJOR_VERSION,
                            CUDNN_FRONTEND_MINOR_VERSION, CUDNN_FRONTEND_PATCH_VERSION)};
}

void check(frontend::error_t error, const AttentionPlanKey& key) {
  SLOTWISE_CHECK(error.is_good(),
                 "[attention{}] cuDNN refuses B{} Tq{} Tk{} H{} G{} D{}{}: {}; --attention blocked "
                 "does without it",
                 key.backward ? "_backward" : "", key.form.batch, key.form.queries, key.form.keys,
                 key.form.heads, key.form.groups, key.form.size, key.form.causal ? " causal" : "",
                 error.get_message());
}

void check_status(cudnnStatus_t status, const char* call) {
  SLOTWISE_CHECK(status == CUDNN_STATUS_SUCCESS, "[attention] {}: {}", call,
                 frontend::detail::get_error_string(status));
}

// The names by which a plan finds its tensors.
enum Uid : std::int64_t { kQ = 1, kK, kV, kOut, kStatistics, kDout, kDq, kDk, kDv };
using Pointers = std::unordered_map<std::int64_t, void*>;

// A tensor [B, T, H, D] in memory; cuDNN names its sizes as B, H, T, D.
Tensor_attributes rows(Uid uid, const char* name, std::int64_t B, std::int64_t T, std::int64_t H,
                       std::int64_t D) {
  return Tensor_attributes()
      .set_name(name)
      .set_uid(uid)
      .set_dim({B, H, T, D})
      .set_stride({T * H * D, D, H * D, 1})
      .set_data_type(frontend::DataType_t::BFLOAT16);
}
Tensor_attributes query_rows(Uid uid, const char* name, const AttentionForm& f) {
  return rows(uid, name, f.batch, f.queries, f.heads, f.size);
}
Tensor_attributes key_rows(Uid uid, const char* name, const AttentionForm& f) {
  return rows(uid, name, f.batch, f.keys, f.groups, f.size);
}
Tensor_attributes statistics(const AttentionForm& f) {
  return Tensor_attributes()
      .set_name("statistics")
      .set_uid(kStatistics)
      .set_dim({f.batch, f.heads, f.queries, 1})
      .set_stride({f.heads * f.queries, f.queries, 1, 1})
      .set_data_type(frontend::DataType_t::FLOAT);
}

void set_output(const std::shared_ptr<Tensor_attributes>& tensor, const Tensor_attributes& like) {
  tensor->set_output(true)
      .set_uid(like.get_uid())
      .set_dim(like.get_dim())
      .set_stride(like.get_stride())
      .set_data_type(like.get_data_type());
}

template <class Attributes>
void set_mask(Attributes& attributes, const AttentionForm& form) {
  attributes.set_attn_scale(form.scale);
  if (!form.causal) return;
  // The diagonal from the top left: query t sees the keys up to t, as everywhere here.
  attributes.set_diagonal_alignment(frontend::DiagonalAlignment_t::TOP_LEFT)
      .set_diagonal_band_right_bound(0);
}

void describe_forward(Graph& graph, const AttentionForm& form) {
  auto attributes =
      frontend::graph::SDPA_attributes().set_name("attention").set_generate_stats(true);
  set_mask(attributes, form);
  const auto [out, stats] =
      graph.sdpa(graph.tensor(query_rows(kQ, "q", form)), graph.tensor(key_rows(kK, "k", form)),
                 graph.tensor(key_rows(kV, "v", form)), attributes);
  set_output(out, query_rows(kOut, "out", form));
  set_output(stats, statistics(form));
}

void describe_backward(Graph& graph, const AttentionForm& form) {
  auto attributes = frontend::graph::SDPA_backward_attributes()
                        .set_name("attention_backward")
                        .set_deterministic_algorithm(true);
  set_mask(attributes, form);
  const auto [dq, dk, dv] = graph.sdpa_backward(
      graph.tensor(query_rows(kQ, "q", form)), graph.tensor(key_rows(kK, "k", form)),
      graph.tensor(key_rows(kV, "v", form)), graph.tensor(query_rows(kOut, "out", form)),
      graph.tensor(query_rows(kDout, "dout", form)), graph.tensor(statistics(form)), attributes);
  set_output(dq, query_rows(kDq, "dq", form));
  set_output(dk, key_rows(kDk, "dk", form));
  set_output(dv, key_rows(kDv, "dv", form));
}

// One handle a device and the plans of all shapes seen, both kept to the end of the program.
class Library {
 public:
  static Library& instance() {
    static auto* library = new Library();
    return *library;
  }

  // Pointers that must outlive the call are the caller's. A handle serves one thread at a time.
  void run(const AttentionPlanKey& key, Device device, Pointers pointers) {
    const cudaStream_t queue = cuda_stream(device);
    const std::lock_guard lock(mutex_);
    const cudnnHandle_t handle = handle_on(device.index, queue);
    const Graph& plan = plan_of(key, handle);
    std::int64_t bytes = 0;
    check(plan.get_workspace_size(bytes), key);
    Tensor workspace;
    if (bytes > 0) {
      workspace = Tensor::empty({bytes}, DType::u8, device, "attention workspace");
    }
    check(plan.execute(handle, pointers, workspace.defined() ? workspace.raw() : nullptr), key);
  }

 private:
  cudnnHandle_t handle_on(int device, cudaStream_t queue) {
    cudnnHandle_t& handle = handles_[device];
    if (handle == nullptr) check_status(frontend::detail::create_handle(&handle), "cudnnCreate");
    check_status(frontend::detail::set_stream(handle, queue), "cudnnSetStream");
    return handle;
  }

  const Graph& plan_of(const AttentionPlanKey& key, cudnnHandle_t handle) {
    const auto found = plans_.find(key);
    if (found != plans_.end()) return *found->second;
    if (plans_.size() >= kMostPlans) plans_.clear();
    auto graph = std::make_unique<Graph>();
    graph->set_io_data_type(frontend::DataType_t::BFLOAT16)
        .set_intermediate_data_type(frontend::DataType_t::FLOAT)
        .set_compute_data_type(frontend::DataType_t::FLOAT);
    if (key.backward) {
      describe_backward(*graph, key.form);
    } else {
      describe_forward(*graph, key.form);
    }
    check(graph->build(handle, {frontend::HeurMode_t::A}), key);
    return *(plans_[key] = std::move(graph));
  }

  std::mutex mutex_;
  std::map<int, cudnnHandle_t> handles_;
  std::map<AttentionPlanKey, std::unique_ptr<Graph>> plans_;
};

Tensor narrow_like(const Tensor& x) {
  return Tensor::empty(x.shape(), DType::bf16, x.device(), "attention bf16");
}
Tensor narrowed(const Tensor& x) {
  Tensor narrow = narrow_like(x);
  cuda::cast({.y = narrow, .x = x});
  return narrow;
}

}  // namespace

const CudnnStatus& cudnn_status() {
  static const CudnnStatus status = load();
  return status;
}

void cudnn::forward(const AttentionForward& args) {
  const Device device = args.q.device();
  const AttentionForm form = form_of(args);
  const Tensor q = narrowed(args.q), k = narrowed(args.k), v = narrowed(args.v);
  const Tensor out = narrow_like(args.out);
  const Tensor stats = Tensor::empty({form.batch * form.heads, form.queries, 1}, DType::f32, device,
                                     "attention statistics");
  Library::instance().run(
      {device.index, false, form}, device,
      {{kQ, q.raw()}, {kK, k.raw()}, {kV, v.raw()}, {kOut, out.raw()}, {kStatistics, stats.raw()}});
  cuda::cast({.y = args.out, .x = out});
  merge_heads(args.log_sum_exp.view({form.batch, form.queries, form.heads, 1}), stats);
}

void cudnn::backward(const AttentionBackward& args) {
  const Device device = args.q.device();
  const AttentionForm form = form_of(args);
  const Tensor q = narrowed(args.q), k = narrowed(args.k), v = narrowed(args.v);
  const Tensor out = narrowed(args.out), dout = narrowed(args.dout);
  const Tensor stats = split_heads(args.log_sum_exp.view({form.batch, form.queries, form.heads, 1}),
                                   "attention statistics");
  const Tensor dq = narrow_like(args.dq), dk = narrow_like(args.dk), dv = narrow_like(args.dv);
  Library::instance().run({device.index, true, form}, device,
                          {{kQ, q.raw()},
                           {kK, k.raw()},
                           {kV, v.raw()},
                           {kOut, out.raw()},
                           {kDout, dout.raw()},
                           {kStatistics, stats.raw()},
                           {kDq, dq.raw()},
                           {kDk, dk.raw()},
                           {kDv, dv.raw()}});
  cuda::cast({.y = args.dq, .x = dq});
  cuda::cast({.y = args.dk, .x = dk});
  cuda::cast({.y = args.dv, .x = dv});
}

}  // namespace slotwise::kernels::cuda
