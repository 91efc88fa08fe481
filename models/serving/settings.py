"""What a service that strangers send pictures to may take, in time, memory and numbers."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ServingSettings:
    """Limits of the HTTP service and how it shares the machine.

    Attributes
    ----------
    port : of the service, where none is given
    threads : processors used; 0 is all. Each has a worker that decodes, finds faces and asks the network
    batch : most pictures whose faces a worker sends through the network together; it takes only what is waiting
    queue_pictures : pictures that may wait; further ones are refused with 429
    timeout_s : seconds from a request's arrival to its answer, else it is 504
    receive_s : seconds that a request may take to arrive, else it is 408
    shutdown_s : seconds that requests under way get to end when the service is stopped
    max_megabytes : size of one picture's file
    max_batch_pictures : pictures of one request
    max_batch_megabytes : size of such a request
    max_waiting_megabytes : size of all requests that arrive or wait; further ones are refused with 429
    max_megapixels : size of a picture, as its file's head states it
    max_side : pixels; larger pictures are looked at smaller (boxes are in pixels of the original)
    smallest_face : width in pixels, after that, of the smallest face that is looked for
    sparing_detection : look beyond the picture's border, for faces that it cuts, only where no other face is found
    max_connections : open connections; further ones are refused with 503
    champion_poll_s : seconds between looks at the registry when the service follows its champion
    """

    port: int = 8000
    threads: int = 0
    batch: int = 4
    queue_pictures: int = 64
    timeout_s: float = 10.0
    receive_s: float = 10.0
    shutdown_s: float = 15.0
    max_megabytes: float = 10.0
    max_batch_pictures: int = 32
    max_batch_megabytes: float = 64.0
    max_waiting_megabytes: float = 256.0
    max_megapixels: float = 40.0
    max_side: int = 1280
    smallest_face: int = 64
    sparing_detection: bool = True
    max_connections: int = 256
    champion_poll_s: float = 60.0

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("threads", "sparing_detection") and not value > 0:
                raise ValueError(f"{field.name} must be above 0")
        if self.threads < 0:
            raise ValueError("threads must be 0 or above")
        if not self.port < 65_536:
            raise ValueError("port must be below 65536")
        if self.max_batch_pictures > self.queue_pictures:
            raise ValueError("max_batch_pictures must not exceed queue_pictures: such a request would never be taken")
        if max(self.max_megabytes, self.max_batch_megabytes) > self.max_waiting_megabytes:
            raise ValueError("max_waiting_megabytes must hold a request of the largest size")
