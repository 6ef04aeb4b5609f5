"""All targets by name."""

from tests.fuzz import annotation_files, collection_files, model_files, text_files
from tests.fuzz.targets import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (annotation_files, text_files, collection_files, model_files)
    for target in module.TARGETS
}
