"""The public API for the benchmark's programs: messages built from proto/, calls without generated stubs."""
import pathlib
import subprocess
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = pathlib.Path(__file__).resolve().parents[3]
OPTIONS = [("grpc.max_receive_message_length", 256 << 20), ("grpc.max_send_message_length", 256 << 20)]


def _load():
    with tempfile.NamedTemporaryFile() as out:
        protos = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto").rglob("*.proto"))
        subprocess.run(["protoc", "-I", ROOT / "proto", "--include_imports", f"--descriptor_set_out={out.name}", *protos], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClassesForFiles([f.name for f in files.file], pool), pool


MESSAGES, POOL = _load()


def message(name, **fields):
    """A message of package mixln.v1."""
    return MESSAGES["mixln.v1." + name](**fields)


def method(channel, service, name):
    """A callable for one method of a service, unary or streaming as its proto says."""
    found = POOL.FindServiceByName("mixln.v1." + service).methods_by_name[name]
    request, response = MESSAGES[found.input_type.full_name], MESSAGES[found.output_type.full_name]
    kind = {(False, False): channel.unary_unary, (False, True): channel.unary_stream, (True, True): channel.stream_stream}
    return kind[found.client_streaming, found.server_streaming](
        f"/mixln.v1.{service}/{name}", request_serializer=request.SerializeToString, response_deserializer=response.FromString)
