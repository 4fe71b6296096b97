#include "services/coordinatord/coordinator.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/clock/clock.h"
#include "base/version/version.h"
#include "coordinator/store/sqlite_store.h"
#include "coordinator/store/state_folder.h"
#include "services/access/connections.h"
#include "services/access/gate.h"
#include "services/access/rules.h"
#include "services/coordinatord/audit.h"
#include "services/coordinatord/call_metrics.h"
#include "services/coordinatord/sweep_service.h"
#include "services/coordinatord/trial_service.h"
#include "services/coordinatord/worker_admin_service.h"
#include "services/coordinatord/worker_session_service.h"
#include "services/daemon/certificate_gauges.h"
#include "services/daemon/disk_gauges.h"
#include "services/daemon/metrics_server.h"
#include "services/rpc/address.h"
#include "services/rpc/server.h"

namespace mixln::services::coordinatord {

namespace store = coordinator::store;

namespace {

// Calls that wait (streams of watchers and log readers) hold a thread each; more are refused.
constexpr int kMaxThreads = 512;
constexpr std::chrono::milliseconds kShutdownLimit{1500};

// Whether gRPC may be reached from other machines.
rpc::Exposure GrpcExposure(const Coordinator::Options& options) {
  return {.allowed = options.tls.any() || options.insecure_no_tls,
          .remedy =
              "give --tls-certificate, --tls-key and --tls-ca (`mixlnctl certs` makes them), or say with "
              "--insecure-no-tls that whoever reaches it may do everything"};
}

std::string NewClusterId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

}  // namespace

// In the order of their making; destroyed in reverse.
struct Coordinator::Parts {
  Metrics metrics;
  std::optional<base::LockFile> lock;
  std::unique_ptr<store::SqliteStore> store;
  std::unique_ptr<store::CurveStore> curves;
  Sessions sessions;
  LogRelay logs;
  Published published{{
      .trial = [this](const auto* before, const auto& now) { metrics.ObserveTrial(before, now); },
      .worker = [this](const auto* before, const auto& now) { metrics.ObserveWorker(before, now); },
  }};
  std::unique_ptr<Loop> loop;
  std::unique_ptr<AuditLog> audit;
  std::unique_ptr<access::Callers> callers;  // null without TLS, as is the gate
  std::unique_ptr<access::Gate> gate;
  std::unique_ptr<SweepService> sweeps;
  std::unique_ptr<TrialService> trials;
  std::unique_ptr<WorkerAdminService> workers;
  std::unique_ptr<WorkerSessionService> worker_sessions;
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<daemon::DiskGauges> disk;
  daemon::MetricsServer metrics_server;
};

Coordinator::Coordinator() : parts_(std::make_unique<Parts>()) {}

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(const Options& options) {
  // What can never do is refused before anything is touched.
  if (options.tls.any()) {
    if (auto status = rpc::CheckTls(options.tls, certificate::Use::kServer); !status.ok()) return status;
  } else if (!options.access.tokens.empty() || !options.access.revoked.empty()) {
    return absl::InvalidArgumentError(
        "--tokens and --revoked need TLS: without it nobody is asked who they are; give --tls-certificate, "
        "--tls-key and --tls-ca");
  }
  if (auto parsed = rpc::ParseListen(options.listen, GrpcExposure(options)); !parsed.ok())
    return parsed.status();
  if (!options.metrics_listen.empty()) {
    const auto exposure = daemon::MetricsExposure(options.insecure_metrics);
    if (auto parsed = rpc::ParseListen(options.metrics_listen, exposure); !parsed.ok())
      return parsed.status();
  }
  std::unique_ptr<Coordinator> coordinator(new Coordinator());
  if (auto status = coordinator->Open(options); !status.ok()) return status;
  if (auto status = coordinator->OpenAccess(options); !status.ok()) return status;
  if (auto status = coordinator->ServeMetrics(options); !status.ok()) return status;
  if (auto status = coordinator->ServeGrpc(options); !status.ok()) return status;
  return coordinator;
}

Coordinator::~Coordinator() {
  Parts& parts = *parts_;
  // Ends what waits inside calls first, so that the server has nothing to wait for.
  parts.published.Stop();
  parts.logs.Stop();
  parts.sessions.CloseAll(absl::UnavailableError("the coordinator is shutting down: come back soon"));
  if (parts.server != nullptr) {
    parts.server->GetHealthCheckService()->Shutdown();
    parts.server->Shutdown(std::chrono::system_clock::now() + kShutdownLimit);
  }
  if (parts.loop != nullptr) parts.loop->Stop();
}

absl::Status Coordinator::Open(const Options& options) {
  Parts& parts = *parts_;
  auto lock = store::TakeStateFolder(options.state_dir);
  if (!lock.ok()) return lock.status();
  parts.lock = std::move(*lock);
  parts.disk =
      std::make_shared<daemon::DiskGauges>(daemon::DiskGauges::Folders{{"state", options.state_dir}});
  auto state_store = store::SqliteStore::Open(options.state_dir / store::kStateFile, NewClusterId());
  if (!state_store.ok()) return state_store.status();
  parts.store = std::move(*state_store);

  store::CurveStore::Options curve_options;
  curve_options.on_commit = [&parts](double seconds) { parts.metrics.ObserveCommit("curves", seconds); };
  curve_options.on_trouble = [](const absl::Status& status) {
    if (status.ok()) {
      spdlog::info("curves are recorded again");
    } else {
      spdlog::error("curves wait, none is lost: {}", std::string(status.message()));
    }
  };
  curve_options.on_fatal = options.fatal;
  auto loaded = parts.store->Load();
  if (!loaded.ok()) return loaded.status();
  auto curves = store::CurveStore::Open(options.state_dir / store::kCurvesFile, loaded->cluster_id,
                                        std::move(curve_options));
  if (!curves.ok()) return curves.status();
  parts.curves = std::move(*curves);
  // A sweep's rows go first, then its curves: a crash between the two leaves curves without a trial.
  auto recorded = parts.curves->TrialIds();
  if (!recorded.ok()) return recorded.status();
  std::vector<std::string> orphans;
  for (auto& trial_id : *recorded) {
    if (!loaded->trials.contains(trial_id)) orphans.push_back(std::move(trial_id));
  }
  parts.curves->Delete(std::move(orphans));

  Loop::Effects effects{
      .send = [&parts](const auto& command) { parts.sessions.Send(command.session, command.message); },
      .close_session = [&parts](uint64_t session, const auto& why) { parts.sessions.Close(session, why); },
      .close_all_sessions = [&parts](const auto& why) { parts.sessions.CloseAll(why); },
      .trials_deleted = [&parts](const auto& ids) { parts.curves->Delete(ids); },
      .fatal = options.fatal,
  };
  Loop::Options loop_options{.control = options.control, .clock = base::ReadClock};
  loop_options.control.version = std::string(base::version::kVersion);
  parts.loop = std::make_unique<Loop>(*parts.store, parts.published, parts.metrics, std::move(effects),
                                      std::move(loop_options));
  return parts.loop->Start();
}

absl::Status Coordinator::OpenAccess(const Options& options) {
  Parts& parts = *parts_;
  auto audit = AuditLog::Open(options.state_dir / "audit.jsonl");
  if (!audit.ok()) return audit.status();
  parts.audit = std::move(*audit);
  if (!options.tls.any()) return absl::OkStatus();
  auto callers = access::Callers::Open(options.access);
  if (!callers.ok()) return callers.status();
  parts.callers = std::move(*callers);
  const auto refused = [&parts](const access::Caller& caller, const std::string& method,
                                const absl::Status& why) {
    spdlog::warn("refused: {}", std::string(why.message()));
    if (!access::FindRule(method)->changes) return;
    parts.audit->Write({.who = certificate::Format(caller.identity),
                        .certificate = caller.serial,
                        .method = method,
                        .outcome = absl::StatusCodeToString(why.code())},
                       absl::Now());
  };
  const auto trouble = [](const absl::Status& status) {
    if (status.ok()) {
      spdlog::info("the files of tokens and revocations can be read again");
    } else {
      spdlog::error("what was known of tokens and revocations stays: {}", std::string(status.message()));
    }
  };
  parts.gate = std::make_unique<access::Gate>(
      *parts.callers,
      access::Gate::Options{.limits = options.limits, .refused = refused, .trouble = trouble});
  return absl::OkStatus();
}

absl::Status Coordinator::ServeMetrics(const Options& options) {
  if (options.metrics_listen.empty()) return absl::OkStatus();
  Parts& parts = *parts_;
  auto server =
      daemon::ServeMetrics(options.metrics_listen, daemon::MetricsExposure(options.insecure_metrics),
                           {parts.metrics.registry(), std::make_shared<StateGauges>(parts.published),
                            parts.disk, std::make_shared<daemon::CertificateGauges>(options.tls)});
  if (!server.ok()) return server.status();
  parts.metrics_server = std::move(*server);
  metrics_address_ = parts.metrics_server.address;
  return absl::OkStatus();
}

absl::Status Coordinator::ServeGrpc(const Options& options) {
  Parts& parts = *parts_;
  auto address = rpc::ParseListen(options.listen, GrpcExposure(options));
  if (!address.ok()) return address.status();
  if (auto status = rpc::TryBind(*address); !status.ok()) return status;
  parts.sweeps = std::make_unique<SweepService>(*parts.loop, parts.published);
  parts.trials = std::make_unique<TrialService>(
      TrialContext{*parts.loop, parts.published, *parts.curves, parts.sessions, parts.logs});
  parts.workers = std::make_unique<WorkerAdminService>(*parts.loop, parts.published);
  parts.worker_sessions = std::make_unique<WorkerSessionService>(SessionContext{
      *parts.loop, parts.sessions, *parts.curves, parts.logs, parts.metrics, parts.callers.get()});

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  rpc::Configure(builder);
  grpc::ResourceQuota quota("coordinator");
  quota.SetMaxThreads(kMaxThreads);
  builder.SetResourceQuota(quota);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  auto credentials = grpc::InsecureServerCredentials();
  if (parts.gate != nullptr) {
    credentials = rpc::ServerTls(options.tls, options.access.tokens.empty() ? rpc::NoCertificate::kCutOff
                                                                            : rpc::NoCertificate::kLetIn);
    credentials->SetAuthMetadataProcessor(parts.gate->Processor());
    interceptors.push_back(parts.gate->TrackCalls());
  } else {
    interceptors.push_back(access::LimitConnections());
  }
  interceptors.push_back(CountCalls(parts.metrics));
  interceptors.push_back(RecordChanges(*parts.audit, parts.gate.get()));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.AddListeningPort(rpc::Format(*address), credentials, &address->port);
  builder.RegisterService(parts.sweeps.get());
  builder.RegisterService(parts.trials.get());
  builder.RegisterService(parts.workers.get());
  builder.RegisterService(parts.worker_sessions.get());
  parts.server = builder.BuildAndStart();
  if (parts.server == nullptr || address->port == 0)
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen, ": gRPC could not bind it"));
  grpc_address_ = rpc::Format(*address);
  return absl::OkStatus();
}

}  // namespace mixln::services::coordinatord
