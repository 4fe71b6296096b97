#include "services/access/rules.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "mixln/v1/session.pb.h"
#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/worker.pb.h"

namespace mixln::services::access {
namespace {

using certificate::Role;

// All methods of proto/mixln/v1, by the files there and protobuf's own descriptors.
std::set<std::string> MethodsOfTheApi() {
  v1::Hello::descriptor();  // links the descriptors in
  v1::Sweep::descriptor();
  v1::Worker::descriptor();
  std::set<std::string> methods;
  for (const auto& entry : std::filesystem::directory_iterator(API_FOLDER)) {
    const std::string name = "mixln/v1/" + entry.path().filename().string();
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(name);
    EXPECT_NE(file, nullptr) << name;
    for (int i = 0; file != nullptr && i < file->service_count(); ++i)
      for (int j = 0; j < file->service(i)->method_count(); ++j)
        methods.insert("/" + file->service(i)->full_name() + "/" + file->service(i)->method(j)->name());
  }
  return methods;
}

TEST(Rules, NameEveryMethodOfTheApiOnce) {
  std::multiset<std::string> ruled;
  for (const Rule& rule : Rules())
    if (std::string(rule.method).starts_with("/mixln.")) ruled.insert(rule.method);
  const auto methods = MethodsOfTheApi();
  EXPECT_GT(methods.size(), 20U);
  EXPECT_THAT(ruled, testing::ElementsAreArray(methods));
}

TEST(Rules, LetNobodyCallWhatTheyDoNotName) {
  EXPECT_EQ(FindRule("/mixln.v1.SweepService/Getsweep"), nullptr);
  EXPECT_EQ(FindRule(""), nullptr);
}

TEST(Rules, LetEachRoleDoWhatTheOneBeforeMayAndWorkersNothingElse) {
  const std::map<Least, std::set<Role>> allowed{
      {Least::kViewer, {Role::kViewer, Role::kOperator, Role::kAdmin}},
      {Least::kOperator, {Role::kOperator, Role::kAdmin}},
      {Least::kAdmin, {Role::kAdmin}},
      {Least::kWorker, {Role::kWorker}},
  };
  for (const auto& [least, roles] : allowed)
    for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin, Role::kWorker, Role::kServer})
      EXPECT_EQ(May(role, least), roles.contains(role)) << certificate::Name(role) << " " << Who(least);
}

TEST(Rules, RecordWhatIsMoreThanReading) {
  for (const Rule& rule : Rules()) EXPECT_EQ(rule.changes, rule.least > Least::kViewer) << rule.method;
}

}  // namespace
}  // namespace mixln::services::access
