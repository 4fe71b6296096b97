// mixlnctl: the command line of MixLN.
#include <string>
#include <vector>

#include "services/mixlnctl/app.h"

int main(int argc, char** argv) {
  mixln::services::mixlnctl::Io io = mixln::services::mixlnctl::RealIo();
  return mixln::services::mixlnctl::Run(std::vector<std::string>(argv + 1, argv + argc), io);
}
